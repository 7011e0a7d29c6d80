// Tests Convoke through the official Node SDK. The environment variable CONVOKE is the command that starts Convoke.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import twilio from "twilio";

describe("Convoke, called by the official Node SDK,", { timeout: 60_000 }, () => {
  let convoke, receiver, api;

  before(async () => {
    receiver = await startReceiver();
    convoke = await startConvoke();
    api = connect(convoke);
  });

  after(async () => {
    try {
      if (convoke) assert.equal(await convoke.stop(), 0, convoke.log());
    } finally {
      receiver.close();
    }
  });

  test("creates a conversation with a chat participant and an SMS participant", async () => {
    const { body: created, statusCode } = await api.conversationWithParticipants.createWithHttpInfo({
      friendlyName: "Visit",
      participant: [sms("+15558675310", "+15017122661"), chat("alice")],
    });
    assert.equal(statusCode, 202);
    assert.equal(created.state, "initializing");
    assert.match(created.sid, /^CH[0-9a-f]{32}$/);
    assert.equal(created.accountSid, convoke.account_sid);
    assert.equal(created.friendlyName, "Visit");
    assert.ok(created.dateCreated instanceof Date && !Number.isNaN(created.dateCreated.getTime()));

    const conversation = await untilActive(api, created.sid);
    assert.equal(conversation.friendlyName, "Visit");

    const members = await conversation.participants().list();
    assert.deepEqual(members.map(shape), [
      {
        identity: null,
        messagingBinding: { type: "sms", address: "+15558675310", proxy_address: "+15017122661" },
      },
      { identity: "alice", messagingBinding: null },
    ]);
    for (const member of members) {
      assert.match(member.sid, /^MB[0-9a-f]{32}$/);
      assert.equal(member.conversationSid, created.sid);
      assert.equal(member.attributes, "{}");
    }
  });

  test("creates a group MMS, and rejects the same group a second time", async () => {
    const group = [phone("+15558675311"), phone("+15558675312"), business("+15017122662")];
    const created = await api.conversationWithParticipants.create({ participant: group });
    assert.equal(created.state, "initializing");

    const conversation = await untilActive(api, created.sid);
    const members = await conversation.participants().list();
    assert.deepEqual(members.map(shape), [
      { identity: null, messagingBinding: { type: "sms", address: "+15558675311" } },
      { identity: null, messagingBinding: { type: "sms", address: "+15558675312" } },
      { identity: null, messagingBinding: { type: "sms", projected_address: "+15017122662" } },
    ]);

    const refusal = await refused(api.conversationWithParticipants.create({ participant: group }), 409, 50438);
    assert.ok(refusal.message.endsWith(created.sid), refusal.message);
  });

  test("creates an active conversation without participants", async () => {
    const { body: created, statusCode } = await api.conversationWithParticipants.createWithHttpInfo({
      uniqueName: "empty",
    });
    assert.equal(statusCode, 201);
    assert.equal(created.state, "active");

    const conversation = await api.conversations("empty").fetch();
    assert.equal(conversation.sid, created.sid);
    assert.deepEqual(await conversation.participants().list(), []);
  });

  test("creates a conversation in a service, with links that name the service", async () => {
    const { sid: serviceSid } = await api.services.create({ friendlyName: "Clinic" });
    const service = api.services(serviceSid);
    const created = await service.conversationWithParticipants.create({
      participant: [sms("+15558675313", "+15017122661"), chat("alice", { chat_service_sid: serviceSid })],
    });
    const url = `${convoke.url}/v1/Services/${serviceSid}/Conversations/${created.sid}`;
    assert.equal(created.state, "initializing");
    assert.equal(created.chatServiceSid, serviceSid);
    assert.equal(created.url, url);
    assert.deepEqual(created.links, {
      participants: `${url}/Participants`,
      messages: `${url}/Messages`,
      webhooks: `${url}/Webhooks`,
    });

    const conversation = await untilActive(service, created.sid);
    assert.equal(conversation.url, url);

    const members = await conversation.participants().list();
    assert.deepEqual(members.map(shape), [
      {
        identity: null,
        messagingBinding: { type: "sms", address: "+15558675313", proxy_address: "+15017122661" },
      },
      { identity: "alice", messagingBinding: null },
    ]);
    for (const member of members) {
      assert.equal(member.chatServiceSid, serviceSid);
      assert.equal(member.url, `${url}/Participants/${member.sid}`);
    }
  });

  test("notifies a webhook of the active state, with a signature that the SDK accepts", async () => {
    const postWebhookUrl = `${receiver.url}/hooks?tenant=7`;
    const filters = ["onConversationStateUpdated"];
    const configured = await api.configuration.webhooks().update({ method: "POST", postWebhookUrl, filters });
    assert.equal(configured.postWebhookUrl, postWebhookUrl);
    assert.deepEqual(configured.filters, filters);

    const created = await api.conversationWithParticipants.create({ participant: [chat("alice"), chat("bob")] });
    const { method, path, signature, params } = await until("the webhook", () =>
      receiver.calls.find((call) => call.params.ConversationSid === created.sid),
    );
    assert.equal(method, "POST");
    assert.equal(receiver.url + path, postWebhookUrl);
    assert.equal(params.EventType, "onConversationStateUpdated");
    assert.equal(params.AccountSid, convoke.account_sid);
    assert.equal(params.StateFrom, "initializing");
    assert.equal(params.StateTo, "active");
    assert.equal(twilio.validateRequest(convoke.auth_token, signature, postWebhookUrl, params), true);

    const forged = { ...params, StateTo: "closed" };
    assert.equal(twilio.validateRequest(convoke.auth_token, signature, postWebhookUrl, forged), false);
  });

  test("calls a scoped webhook with GET, with a signature that the SDK accepts", async () => {
    const conversation = api.conversations((await api.conversations.create()).sid);
    const { sid } = await conversation.webhooks.create({
      target: "trigger",
      "configuration.url": `${receiver.url}/own?tenant=7#rc=1&tt=3000`,
      "configuration.method": "GET",
      "configuration.triggers": ["help"],
    });
    await conversation.messages.create({ body: "Help! größe & =", xTwilioWebhookEnabled: "true" });
    const { method, path, signature } = await until("the webhook", () =>
      receiver.calls.find((call) => call.path.startsWith("/own?")),
    );
    const parameters = new URL(path, receiver.url).searchParams;
    assert.equal(method, "GET");
    assert.deepEqual(
      ["tenant", "EventType", "Body", "WebhookSid", "RetryCount"].map((name) => parameters.get(name)),
      ["7", "onMessageAdded", "Help! größe & =", sid, "0"],
    );
    assert.equal(twilio.validateRequest(convoke.auth_token, signature, receiver.url + path, {}), true);
    assert.equal(twilio.validateRequest(convoke.auth_token, signature, `${receiver.url}${path}&x=1`, {}), false);
  });

  test("rejects requests with the status and code that Twilio documents", async () => {
    const stranger = connect({ ...convoke, auth_token: "wrong" });
    await refused(stranger.conversationWithParticipants.create(), 401, 20003);

    await refused(api.conversations(`CH${"0".repeat(32)}`).fetch(), 404, 20404);

    const eleven = Array.from({ length: 11 }, (_, i) => chat(`member-${i}`));
    await refused(api.conversationWithParticipants.create({ participant: eleven }), 400, 50426);
  });

  test("creates, updates, closes and deletes a conversation", async () => {
    const created = await api.conversations.create({ uniqueName: "visit", "timers.inactive": "PT1H" });
    assert.equal(created.state, "active");
    assert.deepEqual(Object.keys(created.timers), ["date_inactive"]);

    // Address the conversation by SID, because the object from `create` has no SID for further calls.
    const conversation = api.conversations(created.sid);
    const updated = await conversation.update({ uniqueName: "", friendlyName: "Visit" });
    assert.deepEqual([updated.uniqueName, updated.friendlyName, updated.state], [null, "Visit", "active"]);
    await refused(api.conversations("visit").fetch(), 404, 20404);

    assert.equal((await conversation.update({ state: "closed" })).state, "closed");
    await refused(conversation.update({ state: "active" }), 400, 50377);

    assert.equal(await conversation.remove(), true);
    await refused(conversation.fetch(), 404, 20404);
  });

  test("lists participants page by page, in the order of the request", async () => {
    const identities = ["erin", "alice", "dave", "bob", "carol"];
    const created = await api.conversationWithParticipants.create({
      participant: identities.map((identity) => chat(identity)),
    });
    const { participants } = api.conversations(created.sid);
    await untilActive(api, created.sid);

    const members = await participants.list({ pageSize: 2 });
    assert.deepEqual(members.map((member) => member.identity), identities);

    const sizes = [];
    for (let page = await participants.page({ pageSize: 2 }); page; page = await page.nextPage()) {
      sizes.push(page.instances.length);
    }
    assert.deepEqual(sizes, [2, 2, 1]);
  });

  test("lists conversations, and filters them by state", async () => {
    const { sid: serviceSid } = await api.services.create({ friendlyName: "Lists" });
    const { conversations } = api.services(serviceSid);
    const made = [];
    for (const state of ["active", "inactive", "active"]) made.push((await conversations.create({ state })).sid);
    assert.deepEqual(sids(await conversations.list({ pageSize: 1 })), made);
    assert.deepEqual(sids(await conversations.list({ limit: 2 })), made.slice(0, 2));
    assert.deepEqual(sids(await conversations.list({ state: "inactive" })), [made[1]]);
  });

  test("adds, updates and removes a participant", async () => {
    const conversation = api.conversations((await api.conversations.create()).sid);
    const alice = await conversation.participants.create({ identity: "alice" });
    const bob = await conversation.participants.create({
      "messagingBinding.address": "+15558675314",
      "messagingBinding.proxyAddress": "+15017122661",
      xTwilioWebhookEnabled: "true",
    });
    assert.deepEqual(sids(await conversation.participants.list()), [alice.sid, bob.sid]);

    const attributes = JSON.stringify({ role: "nurse" });
    const updated = await conversation.participants("alice").update({ attributes, lastReadMessageIndex: 7 });
    assert.deepEqual([updated.sid, updated.attributes, updated.lastReadMessageIndex], [alice.sid, attributes, 7]);

    assert.equal(await conversation.participants(bob.sid).remove(), true);
    await refused(conversation.participants(bob.sid).fetch(), 404, 20404);
    assert.deepEqual(sids(await conversation.participants.list()), [alice.sid]);
  });

  test("creates, updates and deletes messages, and lists their delivery receipts", async () => {
    const conversation = api.conversations((await api.conversations.create()).sid);
    const phone = await conversation.participants.create({
      "messagingBinding.address": "+15558675315",
      "messagingBinding.proxyAddress": "+15017122661",
    });
    const made = [];
    for (const body of ["one", "two", "three"]) made.push(await conversation.messages.create({ body, author: "alice" }));
    assert.deepEqual(made.map(({ index }) => index), [0, 1, 2]);
    assert.deepEqual(sids(await conversation.messages.list({ order: "desc", pageSize: 2 })), sids(made).reverse());

    const message = conversation.messages(made[0].sid);
    const edited = await message.update({ body: "uno" });
    assert.deepEqual([edited.body, edited.author, edited.index], ["uno", "alice", 0]);

    const [receipt, ...others] = await until("the copy to be delivered", async () => {
      const receipts = await message.deliveryReceipts.list();
      return receipts[0].status === "delivered" && receipts;
    });
    assert.deepEqual([receipt.participantSid, others], [phone.sid, []]);
    assert.equal((await message.deliveryReceipts(receipt.sid).fetch()).messageSid, made[0].sid);

    assert.equal(await message.remove(), true);
    await refused(message.fetch(), 404, 20404);
    assert.deepEqual(sids(await conversation.messages.list()), sids(made.slice(1)));
  });

  test("creates, lists, updates and deletes a scoped webhook of each target", async () => {
    const { webhooks } = api.conversations((await api.conversations.create()).sid);
    const url = "https://hooks.example.com/";
    const each = { "configuration.url": url, "configuration.method": "POST" };
    const made = [
      await webhooks.create({ target: "webhook", "configuration.filters": ["onMessageAdded"], ...each }),
      await webhooks.create({ target: "trigger", "configuration.triggers": ["help", "stop"], ...each }),
      await webhooks.create({ target: "studio", "configuration.flowSid": `FW${"0".repeat(32)}` }),
    ];
    assert.deepEqual(made.map(({ target, configuration }) => ({ target, configuration })), [
      { target: "webhook", configuration: { url, method: "POST", filters: ["onMessageAdded"] } },
      { target: "trigger", configuration: { url, method: "POST", triggers: ["help", "stop"] } },
      { target: "studio", configuration: { flow_sid: `FW${"0".repeat(32)}` } },
    ]);
    assert.deepEqual(sids(await webhooks.list({ pageSize: 1 })), sids(made));

    const updated = await webhooks(made[1].sid).update({ "configuration.triggers": ["halt"] });
    assert.deepEqual(updated.configuration, { url, method: "POST", triggers: ["halt"] });

    for (const { sid } of made) assert.equal(await webhooks(sid).remove(), true);
    assert.deepEqual(await webhooks.list(), []);
    await refused(webhooks.create({ target: "webhook" }), 400, 50369);
  });

  test("creates, configures and deletes a service", async () => {
    const { sid } = await api.services.create({ friendlyName: "Clinic" });
    const service = api.services(sid);
    assert.ok(sids(await api.services.list({ pageSize: 1 })).includes(sid));

    const before = await service.configuration().fetch();
    const roleSid = before.defaultConversationCreatorRoleSid;
    const configured = await service.configuration().update({
      defaultConversationRoleSid: roleSid,
      reachabilityEnabled: true,
    });
    assert.deepEqual([configured.defaultConversationRoleSid, configured.reachabilityEnabled], [roleSid, true]);

    const filters = ["onMessageAdded"];
    const hooked = await service.configuration.webhooks().update({ method: "GET", filters });
    assert.deepEqual([hooked.method, hooked.filters, hooked.postWebhookUrl], ["GET", filters, null]);

    const notifications = service.configuration.notifications();
    const notified = await notifications.update({ "newMessage.enabled": true, "newMessage.withMedia.template": "${MEDIA}" });
    assert.deepEqual([notified.newMessage.enabled, notified.newMessage.with_media.template], [true, "${MEDIA}"]);
    assert.equal((await notifications.fetch()).addedToConversation.enabled, false);
    assert.deepEqual(await service.bindings.list({ bindingType: ["apn", "fcm"], identity: ["alice", "bob"] }), []);

    assert.equal(await service.remove(), true);
    await refused(service.fetch(), 404, 20404);
  });

  test("creates, finds, lists, updates and deletes address configurations", async () => {
    const address = "+15017122669";
    const created = await api.addressConfigurations.create({
      type: "sms",
      address,
      "autoCreation.enabled": true,
      "autoCreation.type": "webhook",
      "autoCreation.webhookUrl": "https://hooks.example.com/",
      "autoCreation.webhookMethod": "post",
      "autoCreation.webhookFilters": ["onParticipantAdded", "onMessageAdded"],
    });
    assert.deepEqual(created.autoCreation, {
      enabled: true,
      type: "webhook",
      webhook_url: "https://hooks.example.com/",
      webhook_method: "POST",
      webhook_filters: ["onParticipantAdded", "onMessageAdded"],
    });
    assert.equal((await api.addressConfigurations(address).fetch()).sid, created.sid);
    await refused(api.addressConfigurations.create({ type: "sms", address }), 409, 20409);
    const mail = await api.addressConfigurations.create({ type: "email", address: "help@example.com" });
    assert.deepEqual(sids(await api.addressConfigurations.list({ type: "email", pageSize: 1 })), [mail.sid]);
    const updated = await api.addressConfigurations(created.sid).update({
      friendlyName: "Hotline",
      "autoCreation.enabled": false,
    });
    assert.deepEqual([updated.friendlyName, updated.autoCreation.enabled], ["Hotline", false]);
    assert.equal(await api.addressConfigurations(address).remove(), true);
    assert.equal(await api.addressConfigurations(mail.sid).remove(), true);
    await refused(api.addressConfigurations(created.sid).fetch(), 404, 20404);
  });

  test("creates, finds, lists, updates and deletes users, who come into being with a participant", async () => {
    const { sid: serviceSid } = await api.services.create({ friendlyName: "Users" });
    const service = api.services(serviceSid);
    const ann = await service.users.create({ identity: "ann", friendlyName: "Ann", xTwilioWebhookEnabled: "true" });
    assert.deepEqual([ann.identity, ann.friendlyName, ann.chatServiceSid], ["ann", "Ann", serviceSid]);
    await refused(service.users.create({ identity: "ann" }), 409, 50201);

    const conversation = service.conversations((await service.conversations.create({ friendlyName: "Visit" })).sid);
    for (const identity of ["ann", "ben"]) await conversation.participants.create({ identity });
    const ben = await service.users("ben").fetch();
    assert.deepEqual(sids(await service.users.list({ pageSize: 1 })), [ann.sid, ben.sid]);
    const attributes = JSON.stringify({ floor: 3 });
    assert.equal((await service.users(ben.sid).update({ friendlyName: "Ben", attributes })).attributes, attributes);

    await conversation.messages.create({ author: "ann", body: "Hello" });
    const { userConversations } = service.users("ben");
    assert.deepEqual((await userConversations.list()).map((each) => each.friendlyName), ["Visit"]);
    const mine = userConversations((await conversation.fetch()).sid);
    assert.equal((await mine.fetch()).unreadMessagesCount, null);
    const read = await mine.update({ lastReadMessageIndex: 0, notificationLevel: "muted" });
    assert.deepEqual([read.lastReadMessageIndex, read.unreadMessagesCount, read.notificationLevel], [0, 0, "muted"]);
    assert.equal(await mine.remove(), true);
    assert.deepEqual((await conversation.participants.list()).map(({ identity }) => identity), ["ann"]);

    assert.equal(await service.users("ann").remove(), true);
    await refused(service.users("ann").fetch(), 404, 20404);
    await until("the participant of the deleted user to leave", async () => {
      return (await conversation.participants.list()).length === 0;
    });
  });

  test("creates, lists, assigns, updates and deletes a role", async () => {
    const service = api.services((await api.services.create({ friendlyName: "Roles" })).sid);
    const defaults = await service.roles.list();
    assert.deepEqual(defaults.map(({ type }) => type).sort(), ["conversation", "conversation", "service", "service"]);

    const permission = ["sendMessage", "leaveConversation"];
    const guest = await service.roles.create({ friendlyName: "guest", type: "conversation", permission });
    assert.deepEqual([guest.friendlyName, guest.type, guest.permissions], ["guest", "conversation", permission]);
    assert.equal((await service.roles.list({ pageSize: 2 })).length, 5);

    const conversation = service.conversations((await service.conversations.create()).sid);
    const member = await conversation.participants.create({ identity: "ann", roleSid: guest.sid });
    assert.equal(member.roleSid, guest.sid);
    const updated = await service.roles(guest.sid).update({ permission: ["sendMessage"] });
    assert.deepEqual(updated.permissions, ["sendMessage"]);

    await refused(service.roles(defaults[0].sid).remove(), 409, 20409);
    assert.equal(await service.roles(guest.sid).remove(), true);
    await refused(service.roles(guest.sid).fetch(), 404, 20404);
    assert.equal((await conversation.participants("ann").fetch()).identity, "ann");
  });

  test("creates, lists, renames and deletes an API key, which gives access until then", async () => {
    const account = sdk(convoke);
    const { sid, secret, friendlyName } = await account.newKeys.create({ friendlyName: "Backend" });
    assert.match(sid, /^SK[0-9a-f]{32}$/);
    assert.deepEqual([secret.length, friendlyName], [32, "Backend"]);
    assert.ok(sids(await account.keys.list({ pageSize: 1 })).includes(sid));
    assert.equal((await account.keys(sid).update({ friendlyName: "Server" })).friendlyName, "Server");

    const withKey = sdk({ ...convoke, key: sid, auth_token: secret });
    assert.equal((await withKey.conversations.v1.configuration().fetch()).accountSid, convoke.account_sid);
    await refused(withKey.keys.list(), 403, 20006);

    assert.equal(await account.keys(sid).remove(), true);
    await refused(account.keys(sid).fetch(), 404, 20404);
    await until("the deleted key to be refused", () =>
      withKey.conversations.v1.configuration().fetch().then(() => false, (error) => error.status === 401),
    );
  });

  test("creates, lists, updates and deletes a push credential", async () => {
    const created = await api.credentials.create({ type: "fcm", secret: '{"type": "service_account"}' });
    assert.deepEqual([created.type, created.sandbox, created.friendlyName], ["fcm", "False", null]);
    assert.equal((await api.credentials(created.sid).update({ friendlyName: "Phones" })).friendlyName, "Phones");
    assert.deepEqual(sids(await api.credentials.list({ limit: 500 })), [created.sid]);
    await refused(api.credentials.create({ type: "apn" }), 400, 20001);
    assert.equal(await api.credentials(created.sid).remove(), true);
    await refused(api.credentials(created.sid).fetch(), 404, 20404);
  });

  test("updates the configuration of the account", async () => {
    const before = await api.configuration().fetch();
    assert.equal(before.accountSid, convoke.account_sid);
    const timed = await api.configuration().update({ defaultInactiveTimer: "PT1H" });
    assert.equal(timed.defaultInactiveTimer, "PT1H");
    assert.deepEqual(Object.keys((await api.conversations.create()).timers), ["date_inactive"]);
    await api.configuration().update({ defaultInactiveTimer: "PT0S" });
    assert.deepEqual((await api.conversations.create()).timers, {});
    await refused(api.services(before.defaultChatServiceSid).remove(), 409, 20409);
  });
});

// Values of the parameter `Participant`

function chat(identity, more = {}) {
  return JSON.stringify({ identity, ...more });
}

function sms(address, proxy_address) {
  return JSON.stringify({ messaging_binding: { address, proxy_address } });
}

function phone(address) {
  return JSON.stringify({ messaging_binding: { address } });
}

function business(projected_address) {
  return JSON.stringify({ messaging_binding: { projected_address } });
}

function sids(resources) {
  return resources.map(({ sid }) => sid);
}

function shape({ identity, messagingBinding }) {
  return { identity, messagingBinding };
}

// The client, and helpers that wait and check

function connect(credentials) {
  return sdk(credentials).conversations.v1;
}

function sdk({ url, account_sid, auth_token, key = account_sid }) {
  // Empty values override TWILIO_EDGE and TWILIO_REGION of the developer's shell. These variables would change the host.
  const client = twilio(key, auth_token, { accountSid: account_sid, edge: "", region: "" });
  client.conversations.baseUrl = client.api.baseUrl = url;
  return client;
}

async function untilActive(tree, sid) {
  return until(`${sid} to become active`, async () => {
    const conversation = await tree.conversations(sid).fetch();
    if (conversation.state === "active") return conversation;
    assert.equal(conversation.state, "initializing");
  });
}

async function refused(request, status, code) {
  const error = await request.then(
    () => assert.fail(`the request was accepted instead of rejected with ${status}/${code}`),
    (reason) => reason,
  );
  assert.deepEqual({ status: error.status, code: error.code }, { status, code }, error.message);
  return error;
}

async function until(what, look, milliseconds = 10_000) {
  for (const deadline = Date.now() + milliseconds; Date.now() < deadline; await sleep(20)) {
    const found = await look();
    if (found) return found;
  }
  assert.fail(`waited ${milliseconds} ms for ${what}`);
}

// The servers: Convoke and a webhook receiver

async function startConvoke() {
  const [command, ...args] = (process.env.CONVOKE || "uv run convoke").split(" ");
  const child = spawn(command, [...args, "up", "--port", "0", "--data", ":memory:", "--json"]);
  const exited = once(child, "exit");
  let log = "";
  child.stderr.on("data", (chunk) => (log += chunk));
  process.once("exit", () => child.kill());

  const [line] = await Promise.race([
    once(createInterface(child.stdout), "line"),
    exited.then(([code]) => assert.fail(`${command} ended with ${code}\n${log}`)),
    sleep(30_000, undefined, { ref: false }).then(() => {
      child.kill();
      assert.fail(`${command} is not listening\n${log}`);
    }),
  ]);
  const ready = JSON.parse(line);

  async function stop() {
    process.kill(ready.pid, "SIGTERM"); // Signal the server itself, because the child can be `uv run`.
    const killer = setTimeout(() => process.kill(ready.pid, "SIGKILL"), 10_000);
    const [exitCode] = await exited;
    clearTimeout(killer);
    return exitCode;
  }

  return { ...ready, stop, log: () => log };
}

async function startReceiver() {
  const calls = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    calls.push({
      method: request.method,
      path: request.url,
      signature: request.headers["x-twilio-signature"],
      params: Object.fromEntries(new URLSearchParams(body)),
    });
    response.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  function close() {
    server.close();
    server.closeAllConnections();
  }

  return { url: `http://127.0.0.1:${server.address().port}`, calls, close };
}
