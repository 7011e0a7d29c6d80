// Run Convoke in tests: an instance in a separate process, and a webhook receiver in this process.
import { spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import twilio from "twilio";

const TIMEOUT_MILLISECONDS = 10_000;

const STOP_TIMEOUT_MILLISECONDS = 10_000;

const PRE_EVENT_TYPES = ["Conversation", "Participant", "Message"]
  .flatMap((resource) => ["Add", "Update", "Remove"].map((change) => `on${resource}${change}`))
  .concat("onUserUpdate");

const POST_EVENT_TYPES = [
  "onConversationAdded",
  "onConversationUpdated",
  "onConversationRemoved",
  "onConversationStateUpdated",
  "onParticipantAdded",
  "onParticipantUpdated",
  "onParticipantRemoved",
  "onMessageAdded",
  "onMessageUpdated",
  "onMessageRemoved",
  "onDeliveryUpdated",
  "onUserAdded",
  "onUserUpdated",
];

export const EVENT_TYPES = Object.freeze([...PRE_EVENT_TYPES, ...POST_EVENT_TYPES]);

export async function start({ command = process.env.CONVOKE ?? "convoke", env = {} } = {}) {
  const instance = await startInstance(command, env);
  const { url, account_sid: accountSid, auth_token: authToken } = instance.ready;
  try {
    return await Convoke.open({ url, accountSid, authToken }, instance);
  } catch (error) {
    await instance.stop();
    throw error;
  }
}

export async function attach(address) {
  return Convoke.open(await newAccount(address), null, address);
}

class Convoke {
  #instance;
  #shared;
  #receiver;
  #account;

  static async open(account, instance, shared = null) {
    const convoke = new Convoke();
    convoke.#account = account;
    convoke.#instance = instance;
    convoke.#shared = shared;
    convoke.#receiver = await Receiver.listen(() => convoke.authToken);
    try {
      await convoke.#configureWebhooks();
    } catch (error) {
      convoke.#receiver.close();
      throw error;
    }
    return convoke;
  }

  get url() {
    return this.#account.url;
  }

  get accountSid() {
    return this.#account.accountSid;
  }

  get authToken() {
    return this.#account.authToken;
  }

  get address() {
    return { ...this.#account };
  }

  get receivedWebhooks() {
    return [...this.#receiver.received];
  }

  client() {
    const client = twilio(this.accountSid, this.authToken);
    client.conversations.baseUrl = this.url;
    client.monitor.baseUrl = this.url;
    return client;
  }

  async advance(duration) {
    return this.#post("Clock", { Advance: duration });
  }

  async reset() {
    if (this.#shared) this.#account = await newAccount(this.#shared);
    else await this.#post("Reset");
    this.#receiver.clear();
    await this.#configureWebhooks();
  }

  async settle({ timeout = TIMEOUT_MILLISECONDS } = {}) {
    const { settled } = await this.#post("Settle", { Timeout: `PT${timeout / 1000}S` });
    if (!settled) throw new Error(`the instance has unfinished work after ${timeout} ms`);
  }

  async waitForWebhook(eventType, parameters = {}, { timeout = TIMEOUT_MILLISECONDS } = {}) {
    checkEventType(eventType);
    const expected = Object.entries({ EventType: eventType, ...parameters });
    const found = await this.#receiver.waitFor(
      (webhook) => expected.every(([name, value]) => webhook.parameters[name] === value),
      timeout,
    );
    if (found) return found;
    const received = this.receivedWebhooks.map((webhook) => webhook.eventType).join(", ") || "none";
    const wanted = JSON.stringify(Object.fromEntries(expected));
    const hint = (await this.#hasUnsent(expected))
      ? "; there is such an event, but its request did not have the header X-Twilio-Webhook-Enabled: true"
      : "";
    throw new Error(`received no webhook with ${wanted} within ${timeout} ms, only: ${received}${hint}`);
  }

  /** Whether one of the newest events has these parameters, but is not for webhooks. */
  async #hasUnsent(expected) {
    const { events } = await call(this.#account, "GET", "Events");
    return events.some(({ webhooks, payload }) => !webhooks && expected.every(([name, value]) => payload[name] === value));
  }

  async answer(status, body = "", { times = 1, eventType = null } = {}) {
    if (!(status >= 200 && status <= 599)) throw new RangeError(`the status ${status} is not between 200 and 599`);
    if (eventType !== null) checkEventType(eventType);
    this.#receiver.plan(eventType, { status, body: typeof body === "string" ? body : JSON.stringify(body) }, times);
    if (PRE_EVENT_TYPES.includes(eventType)) {
      const configuration = await this.client().conversations.v1.configuration.webhooks().fetch();
      const filters = [...new Set([...(configuration.filters ?? []), eventType])];
      await this.client().conversations.v1.configuration.webhooks().update({ preWebhookUrl: this.#receiver.url, filters });
    }
  }

  async failParticipant(n, code) {
    await this.#post("Failures", { Participant: n, Code: code });
  }

  phone(number) {
    return {
      number,
      send: async (body, ...receivers) => {
        const sent = await this.#post("Simulate/InboundMessages", { From: number, To: receivers.join(), Body: body });
        return { outcome: sent.outcome, conversationSid: sent.conversation_sid, messageSid: sent.message_sid };
      },
      inbox: async () => {
        const path = `Simulate/Phones/${encodeURIComponent(number)}/Messages`;
        const messages = [];
        for (let query = "?PageSize=100"; query !== null;) {
          const page = await call(this.#account, "GET", path + query);
          messages.push(...page.messages);
          query = page.meta.next_page_url && new URL(page.meta.next_page_url).search;
        }
        return messages.map(({ from, body, conversation_sid, message_sid }) => ({
          from,
          body,
          conversationSid: conversation_sid,
          messageSid: message_sid,
        }));
      },
    };
  }

  async hold() {
    await this.#post("Failures", { Hold: true });
  }

  async release() {
    await call(this.#account, "DELETE", "Failures");
  }

  async stop() {
    this.#receiver.close();
    await this.#instance?.stop();
  }

  #post(path, form) {
    return call(this.#account, "POST", path, form);
  }

  async #configureWebhooks() {
    await this.client().conversations.v1.configuration.webhooks().update({
      method: "POST",
      postWebhookUrl: this.#receiver.url,
      filters: POST_EVENT_TYPES,
    });
  }
}

/** An HTTP server that stores webhooks. The server answers with status 204, unless a test plans another answer. */
class Receiver {
  #authToken;
  #server;
  #base = "";
  #generation = 0;
  #answers = new Map();
  #arrivals = new EventEmitter().setMaxListeners(0);
  received = [];

  static async listen(authToken) {
    const receiver = new Receiver();
    receiver.#authToken = authToken;
    receiver.#server = createServer((request, response) => receiver.#handle(request, response));
    receiver.#server.listen(0, "127.0.0.1");
    await once(receiver.#server, "listening");
    receiver.#base = `http://127.0.0.1:${receiver.#server.address().port}`;
    return receiver;
  }

  get url() {
    return `${this.#base}/webhooks/${this.#generation}`;
  }

  /** Remove all webhooks and planned answers. Change the URL, so that late webhooks of the last test are ignored. */
  clear() {
    this.received = [];
    this.#answers.clear();
    this.#generation += 1;
  }

  close() {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  plan(eventType, answer, times) {
    const planned = this.#answers.get(eventType) ?? [];
    this.#answers.set(eventType, [...planned, ...Array(times).fill(answer)]);
  }

  async waitFor(matches, timeout) {
    const signal = AbortSignal.timeout(timeout);
    for (;;) {
      const found = this.received.find(matches);
      if (found) return found;
      try {
        await once(this.#arrivals, "webhook", { signal });
      } catch {
        return this.received.find(matches) ?? null;
      }
    }
  }

  async #handle(request, response) {
    let body = "";
    request.setEncoding("utf8");
    for await (const part of request) body += part;
    const url = this.#base + request.url;
    const isPost = request.method === "POST";
    const parameters = Object.fromEntries(new URLSearchParams(isPost ? body : new URL(url).search));
    let answer = { status: 204, body: "" };
    if (url.split("?")[0] === this.url) {
      const signature = request.headers["x-twilio-signature"] ?? "";
      const signed = isPost ? parameters : {};
      this.received.push({
        eventType: parameters.EventType,
        parameters,
        headers: request.headers,
        url,
        method: request.method,
        body,
        signatureValid: twilio.validateRequest(this.#authToken(), signature, url, signed),
      });
      answer = this.#answers.get(parameters.EventType)?.shift() ?? this.#answers.get(null)?.shift() ?? answer;
      this.#arrivals.emit("webhook");
    }
    response.writeHead(answer.status, answer.body ? { "Content-Type": "application/json" } : {}).end(answer.body);
  }
}

async function startInstance(command, env) {
  const child = spawn(command, ["up", "--port", "0", "--data", ":memory:", "--json", "--test-controls"], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...env },
  });
  const killWithUs = () => child.kill("SIGKILL");
  process.once("exit", killWithUs);
  const ended = new Promise((resolve) => child.once("close", resolve));
  const failed = new Promise((_, reject) => {
    child.once("error", (error) => reject(new Error(`cannot run \`${command}\` (${error.code}): install Convoke, or set the variable CONVOKE`)));
    child.once("close", (code) => reject(new Error(`\`${command} up\` ended with code ${code}; the reason is on stderr`)));
  });
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([once(lines, "line"), failed]);
  failed.catch(() => {});
  return {
    ready: JSON.parse(line),
    async stop() {
      process.removeListener("exit", killWithUs);
      child.kill("SIGTERM");
      const timer = setTimeout(killWithUs, STOP_TIMEOUT_MILLISECONDS);
      await ended;
      clearTimeout(timer);
    },
  };
}

async function newAccount({ url, accountSid, authToken }) {
  const account = await call({ url, accountSid, authToken }, "POST", "Accounts");
  return { url, accountSid: account.sid, authToken: account.auth_token };
}

async function call({ url, accountSid, authToken }, method, path, form = {}) {
  const response = await fetch(`${url}/convoke/v1/${path}`, {
    method,
    headers: { Authorization: `Basic ${Buffer.from(`${accountSid}:${authToken}`).toString("base64")}` },
    ...(method === "POST" ? { body: new URLSearchParams(form) } : {}),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path} failed with ${response.status}: ${JSON.parse(text).message}`);
  return text ? JSON.parse(text) : null;
}

function checkEventType(eventType) {
  if (!EVENT_TYPES.includes(eventType)) {
    throw new TypeError(`there is no event type ${JSON.stringify(eventType)}; the event types are ${EVENT_TYPES.join(", ")}`);
  }
}
