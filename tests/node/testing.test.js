// Tests the package convoke-testing (npm/convoke-testing) as a program that only knows the package.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { EVENT_TYPES, attach, start } from "convoke-testing";

const chat = (...identities) => identities.map((identity) => JSON.stringify({ identity }));

describe("The test kit", { timeout: 60_000 }, () => {
  let convoke, v1;

  before(async () => {
    convoke = await start();
  });

  beforeEach(async () => {
    await convoke.reset();
    v1 = convoke.client().conversations.v1;
  });

  after(() => convoke?.stop());

  test("resets the instance without a new process and keeps its credentials", async () => {
    await v1.conversations.create({ uniqueName: "visit" });
    await convoke.reset();
    assert.deepEqual(await v1.conversations.list(), []);
    await v1.conversations.create({ uniqueName: "visit" });
  });

  test("stores webhooks with URL, method, body and the check of the signature", async () => {
    const { sid } = await v1.conversations.create({ xTwilioWebhookEnabled: "true" });
    const webhook = await convoke.waitForWebhook("onConversationAdded", { ConversationSid: sid });
    assert.equal(webhook.signatureValid, true);
    assert.equal(webhook.method, "POST");
    assert.match(webhook.url, /^http:\/\/127\.0\.0\.1:\d+\/webhooks\/\d+$/);
    assert.equal(new URLSearchParams(webhook.body).get("ConversationSid"), sid);
    const forged = new URLSearchParams({ EventType: "onConversationAdded", ConversationSid: "CH0" });
    await fetch(webhook.url, { method: "POST", body: forged, headers: { "X-Twilio-Signature": "forged" } });
    assert.equal((await convoke.waitForWebhook("onConversationAdded", { ConversationSid: "CH0" })).signatureValid, false);
  });

  test("repeats a delivery that the receiver has refused when the clock moves", async () => {
    await convoke.answer(500, "", { times: 2 });
    await v1.conversations.create({ xTwilioWebhookEnabled: "true" });
    await convoke.advance("PT1M");
    const counts = convoke.receivedWebhooks.map((webhook) => webhook.parameters.RetryCount);
    assert.deepEqual(counts, ["0", "1", "2"]);
    await convoke.settle();
  });

  test("answers pre-events", async () => {
    await convoke.answer(403, "", { eventType: "onMessageAdd" });
    await convoke.answer(200, { body: "Changed" }, { eventType: "onMessageAdd" });
    const { sid } = await v1.conversations.create();
    const create = () => v1.conversations(sid).messages.create({ body: "Hello", xTwilioWebhookEnabled: "true" });
    await assert.rejects(create, { code: 50056 });
    assert.equal((await create()).body, "Changed");
  });

  test("sends messages of simulated phones", async () => {
    const phone = convoke.phone("+15558675310");
    const unclaimed = await phone.send("Hello", "+15017122661");
    assert.deepEqual(unclaimed, { outcome: "unclaimed", conversationSid: null, messageSid: null });
    await v1.addressConfigurations.create({ type: "sms", address: "+15017122661", "autoCreation.enabled": true });
    const sent = await phone.send("Hello", "+15017122661");
    const message = await v1.conversations(sent.conversationSid).messages(sent.messageSid).fetch();
    assert.deepEqual([message.author, message.body], ["+15558675310", "Hello"]);
    await convoke.waitForWebhook("onMessageAdded", { MessageSid: sent.messageSid, Source: "SMS" });
    await v1.conversations(sent.conversationSid).messages.create({ author: "support", body: "Hi there" });
    await convoke.settle();
    const [got] = await phone.inbox();
    assert.deepEqual([got.from, got.body, got.conversationSid], ["+15017122661", "Hi there", sent.conversationSid]);
    await assert.rejects(() => phone.send("Hello", "5017122661"), /To\[0\]: Invalid messaging binding address/);
  });

  test("rejects a participant, and holds a conversation until it is released", async () => {
    await convoke.failParticipant(1, 50407);
    const failed = await v1.conversationWithParticipants.create({ participant: chat("alice", "bob") });
    await convoke.settle();
    assert.equal((await v1.conversations(failed.sid).fetch()).state, "closed");
    await convoke.hold();
    const held = await v1.conversationWithParticipants.create({ participant: chat("alice") });
    await convoke.settle();
    assert.equal((await v1.conversations(held.sid).fetch()).state, "initializing");
    await convoke.release();
    await convoke.settle();
    assert.equal((await v1.conversations(held.sid).fetch()).state, "active");
  });

  test("attaches further accounts that do not see each other", async () => {
    const [one, other] = [await attach(convoke.address), await attach(convoke.address)];
    try {
      await one.client().conversations.v1.conversations.create({ uniqueName: "visit", xTwilioWebhookEnabled: "true" });
      await one.waitForWebhook("onConversationAdded");
      assert.deepEqual(await other.client().conversations.v1.conversations.list(), []);
      assert.deepEqual(other.receivedWebhooks, []);
      await one.reset();
      assert.deepEqual(await one.client().conversations.v1.conversations.list(), []);
    } finally {
      await one.stop();
      await other.stop();
    }
  });

  test("lists every event type and fails at once for others", async () => {
    const begun = Date.now();
    await assert.rejects(convoke.waitForWebhook("onMessageAded"), /there is no event type "onMessageAded"/);
    await assert.rejects(convoke.advance("10m"), /ISO 8601 duration/);
    assert.ok(Date.now() - begun < 5_000);
    const refused = await v1.configuration.webhooks().update({ filters: ["onNothing"] }).catch((error) => error);
    assert.deepEqual(refused.message.match(/\bon(?!Nothing)[A-Z]\w+/g).sort(), [...EVENT_TYPES].sort());
  });

  test("says which webhooks arrived when none matches", async () => {
    await v1.conversations.create({ xTwilioWebhookEnabled: "true" });
    await convoke.settle();
    const waiting = convoke.waitForWebhook("onMessageAdded", {}, { timeout: 50 });
    await assert.rejects(waiting, /received no webhook .* only: onConversationAdded$/);
  });

  test("says that the header for webhooks was missing", async () => {
    const { sid } = await v1.conversations.create();
    const waiting = convoke.waitForWebhook("onConversationAdded", { ConversationSid: sid }, { timeout: 50 });
    await assert.rejects(waiting, /X-Twilio-Webhook-Enabled: true$/);
  });

  test("refuses an answer without a final status", async () => {
    for (const status of [0, 199, 600, NaN]) await assert.rejects(convoke.answer(status), RangeError);
  });

  test("says what to do if the command does not exist", async () => {
    await assert.rejects(start({ command: "no-such-command" }), /cannot run `no-such-command` \(ENOENT\): install Convoke/);
  });
});
