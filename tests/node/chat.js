// Helpers for the tests with the chat SDK: a server, tokens, a proxy that cuts connections, and waiting for events.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import twilio from "twilio";

// If the server closes a kept connection at the same moment, a request on this connection fails.
http.globalAgent = new http.Agent({ keepAlive: false });

/** Maps each tested version of the SDK to its package name in package.json. */
export const VERSIONS = { "3.0.1": "conversations-3", "2.6.5": "conversations-2", "2.0.0": "conversations-2-0" };

const TIMEOUT = 10_000;

/** Start `convoke up`. */
export async function startServer({ data = ":memory:", port = 0 } = {}) {
  const [command, ...args] = (process.env.CONVOKE || "uv run convoke").split(" ");
  const child = spawn(command, [...args, "up", "--port", `${port}`, "--data", data, "--json"]);
  const exited = once(child, "exit");
  let log = "";
  child.stderr.on("data", (chunk) => (log += chunk));
  process.once("exit", () => child.kill());
  const [line] = await Promise.race([
    once(createInterface(child.stdout), "line"),
    exited.then(([code]) => assert.fail(`${command} ended with ${code}\n${log}`)),
  ]);
  const ready = JSON.parse(line);

  async function stop(signal = "SIGTERM") {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    process.kill(ready.pid, signal); // Signal the server itself, because the child can be `uv run`.
    return (await exited)[0];
  }

  const url = new URL(ready.url);
  return { ...ready, port: Number(url.port), socketUrl: `ws://${url.host}/v3/wsconnect`, stop, log: () => log };
}

/** The official client of the REST API. */
export function restClient({ account_sid, auth_token, url }) {
  const client = twilio(account_sid, auth_token);
  client.conversations.baseUrl = url;
  return client.conversations.v1;
}

/** Create an API key. Its function `token` creates an access token with the official helper library. */
export async function newKey(server) {
  const { account_sid, auth_token, url } = server;
  const authorization = `Basic ${Buffer.from(`${account_sid}:${auth_token}`).toString("base64")}`;
  const created = await fetch(`${url}/2010-04-01/Accounts/${account_sid}/Keys.json`, {
    method: "POST",
    headers: { authorization },
  });
  const { sid, secret } = await created.json();
  const { defaultChatServiceSid: serviceSid } = await restClient(server).configuration().fetch();
  const token = (identity, ttl = 3600) => {
    const made = new twilio.jwt.AccessToken(account_sid, sid, secret, { identity, ttl });
    made.addGrant(new twilio.jwt.AccessToken.ChatGrant({ serviceSid }));
    return made.toJwt();
  };
  return { sid, serviceSid, token };
}

/** Wait for an event. If `wanted` is given, wait for an event for which `wanted` returns true. */
export function nextEvent(emitter, event, wanted = () => true, timeout = TIMEOUT) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      emitter.removeListener(event, listener);
      reject(new Error(`no event ${event}`));
    }, timeout);
    function listener(...given) {
      if (!wanted(...given)) return;
      clearTimeout(timer);
      emitter.removeListener(event, listener);
      resolve(given[0]);
    }
    emitter.on(event, listener);
  });
}

/** Return a list that will collect the events. */
export function everyEvent(emitter, event) {
  const heard = [];
  emitter.on(event, (value) => heard.push(value));
  return heard;
}

/** Call a function until it returns a truthy value, and return the value. If the function throws, call it again. */
export async function until(wanted, timeout = TIMEOUT) {
  const end = Date.now() + timeout;
  for (;;) {
    let problem;
    try {
      const found = await wanted();
      if (found) return found;
    } catch (error) {
      problem = error;
    }
    if (Date.now() > end) throw problem ?? new Error(`not true in time: ${wanted}`);
    await sleep(20);
  }
}

/** A TCP proxy in front of a server. The proxy can cut connections. */
export async function cuttingProxy({ port }) {
  const open = new Set();
  let cuts = 0;
  const proxy = createServer((client) => {
    const upstream = connect(port, "127.0.0.1");
    const pair = { cut: () => [client, upstream].forEach((socket) => socket.destroy()) };
    open.add(pair);
    for (const [from, to] of [[client, upstream], [upstream, client]]) {
      from.on("error", () => {});
      from.on("close", () => {
        to.destroy();
        open.delete(pair);
      });
      from.pipe(to);
    }
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  return {
    socketUrl: `ws://127.0.0.1:${proxy.address().port}/v3/wsconnect`,
    cuts: () => cuts,
    /** Cut one of the open connections, chosen at random. */
    cutOne: () => {
      const pairs = [...open];
      if (!pairs.length) return;
      pairs[Math.floor(Math.random() * pairs.length)].cut();
      cuts += 1;
    },
    close: () => proxy.close(),
  };
}
