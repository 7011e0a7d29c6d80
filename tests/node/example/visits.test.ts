import { attach, type Convoke } from "convoke-testing";
import { afterAll, beforeAll, beforeEach, expect, inject, test } from "vitest";
import { openVisit, sendReminder, stateOf } from "./visits";

let convoke: Convoke;

beforeAll(async () => {
  convoke = await attach(inject("convoke"));
});

beforeEach(() => convoke.reset());

afterAll(() => convoke.stop());

test("a visit becomes inactive, and a reminder activates it", async () => {
  const client = convoke.client();
  const sid = await openVisit(client, "alice");
  await convoke.settle();
  await convoke.advance("PT30M");
  expect(await stateOf(client, sid)).toBe("inactive");
  await sendReminder(client, sid);
  const webhook = await convoke.waitForWebhook("onMessageAdded", { ConversationSid: sid });
  expect(webhook.signatureValid).toBe(true);
  expect(await stateOf(client, sid)).toBe("active");
});

test("a visit can be opened again after its nurse could not be added", async () => {
  await convoke.failParticipant(0, 50107);
  const failed = await openVisit(convoke.client(), "alice");
  await convoke.waitForWebhook("onConversationStateUpdated", { ConversationSid: failed, StateTo: "closed" });
  await openVisit(convoke.client(), "alice");
});

test("each test starts without data", async () => {
  expect(await convoke.client().conversations.v1.conversations.list()).toEqual([]);
  expect(convoke.receivedWebhooks).toEqual([]);
});
