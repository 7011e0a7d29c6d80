import { attach, type Convoke } from "convoke-testing";
import { afterAll, beforeAll, beforeEach, expect, inject, test } from "vitest";


let convoke: Convoke;

beforeAll(async () => {
  convoke = await attach(inject("convoke"));
});

beforeEach(() => convoke.reset());

afterAll(() => convoke.stop());



test("each test starts without data", async () => {
  expect(await convoke.client().conversations.v1.conversations.list()).toEqual([]);
  expect(convoke.receivedWebhooks).toEqual([]);
});
