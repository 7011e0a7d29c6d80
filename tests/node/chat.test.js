// Tests Convoke through the unmodified chat SDK, in three versions. CONVOKE is the command that starts Convoke.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { VERSIONS, cuttingProxy, everyEvent, newKey, nextEvent, restClient, startServer, until } from "./chat.js";

const require = createRequire(import.meta.url);

/** For about a second, the SDK answers a repeated GET request from its cache. */
const HTTP_CACHE = 1_100;

/** How many connections are cut. Older versions are tested with few cuts, because each cut takes time. */
const CUTS = { "3.0.1": 100 };

const RESTART_PAUSE = 700;

const bodiesOf = (messages) => messages.map((message) => message.body);

describe("The chat SDK", { concurrency: true, timeout: 180_000 }, () => {
  before(() => {
    // Ignore rejected promises inside the SDK, for example after a cut connection. Other rejections fail the test.
    const [fail] = process.listeners("unhandledRejection");
    process.removeAllListeners("unhandledRejection");
    process.on("unhandledRejection", (error, promise) => {
      if (!String(error?.stack).includes("node_modules")) fail(error, promise);
    });
  });

  for (const [version, name] of Object.entries(VERSIONS)) {
    const { Client } = require(name);
    const cuts = CUTS[version] ?? 20;
    describe(`@twilio/conversations ${version}`, { concurrency: false }, () => {
      let server, key, v1, alice, bob, shared;
      const clients = [];

      const connect = async (identity, { token = key.token(identity), uri = server.socketUrl, ...given } = {}) => {
        const client = new Client(token, { Twilsock: { uri }, ...given });
        clients.push(client);
        await initialized(client);
        return client;
      };

      before(async () => {
        server = await startServer();
        v1 = restClient(server);
        key = await newKey(server);
        await v1.services(key.serviceSid).configuration().update({ reachabilityEnabled: true });
        [alice, bob] = await Promise.all([connect("alice"), connect("bob")]);
        shared = await create(alice, { friendlyName: "Shared" }, "bob");
      });

      after(async () => {
        await Promise.all(clients.map((client) => client.shutdown()));
        assert.equal(await server?.stop(), 0, server?.log());
      });

      /** Create a conversation as `client`, join it, and add the identities in `others`. */
      const create = async (client, settings, ...others) => {
        const conversation = await client.createConversation(settings);
        await conversation.join();
        for (const identity of others) await conversation.add(identity);
        return conversation;
      };

      const ofBob = (conversation) => loaded(bob, conversation);

      test("connects and initialises", () => {
        assert.equal(Client.version, version);
        assert.equal(alice.connectionState, "connected");
        assert.equal(alice.user.identity, "alice");
      });

      test("lists my conversations, in more than one page", async () => {
        const created = [];
        for (let number = 0; number < 55; number += 1) {
          const { sid } = await v1.conversations.create({ friendlyName: `Number ${number}` });
          await v1.conversations(sid).participants.create({ identity: "lister" });
          created.push(sid);
        }
        const lister = await connect("lister");
        const found = [];
        let page = await lister.getSubscribedConversations();
        for (;;) {
          found.push(...page.items);
          if (!page.hasNextPage) break;
          page = await page.nextPage();
        }
        assert.deepEqual(found.map(({ sid }) => sid).sort(), created.sort());
        assert.ok(found.every(({ status, state }) => status === "joined" && state.current === "active"));
        const other = await until(() => lister.getConversationBySid(created[7]));
        assert.equal(other.friendlyName, "Number 7");
      });

      test("reads messages in pages, backwards and forwards from an anchor", async () => {
        const { sid } = await v1.conversations.create();
        await v1.conversations(sid).participants.create({ identity: "alice" });
        for (let index = 0; index < 7; index += 1) {
          await v1.conversations(sid).messages.create({ author: "system", body: `Message ${index}` });
        }
        const conversation = await until(() => alice.getConversationBySid(sid));
        const indexes = (page) => page.items.map(({ index }) => index);
        const last = await conversation.getMessages(3);
        assert.deepEqual([indexes(last), last.hasPrevPage], [[4, 5, 6], true]);
        const middle = await last.prevPage();
        assert.deepEqual([indexes(middle), middle.hasPrevPage], [[1, 2, 3], true]);
        const first = await middle.prevPage();
        assert.deepEqual([indexes(first), first.hasPrevPage], [[0], false]);
        const forward = await conversation.getMessages(3, 2, "forward");
        assert.deepEqual([indexes(forward), forward.hasNextPage], [[2, 3, 4], true]);
        const rest = await forward.nextPage();
        assert.deepEqual([indexes(rest), rest.hasNextPage], [[5, 6], false]);
        assert.deepEqual(bodiesOf(rest.items), ["Message 5", "Message 6"]);
      });

      test("sends a message, which both members get", async () => {
        const both = [shared, await ofBob(shared)].map((side) => nextEvent(side, "messageAdded"));
        const index = await shared.sendMessage("Grüße 👋 你好", { mood: "good" });
        for (const message of await Promise.all(both)) {
          assert.deepEqual(
            [message.body, message.index, message.author, message.attributes],
            ["Grüße 👋 你好", index, "alice", { mood: "good" }],
          );
          assert.ok(message.dateCreated instanceof Date);
          assert.equal((await message.getParticipant()).identity, "alice");
        }
      });

      test("gets a message that the REST API created", async () => {
        const added = nextEvent(await ofBob(shared), "messageAdded");
        await v1.conversations(shared.sid).messages.create({ author: "nurse", body: "From a server" });
        const message = await added;
        assert.deepEqual([message.author, message.body], ["nurse", "From a server"]);
      });

      test("edits and deletes a message", async () => {
        const side = await ofBob(shared);
        const added = [shared, side].map((each) => nextEvent(each, "messageAdded"));
        await shared.sendMessage("First");
        const [mine, theirs] = await Promise.all(added);
        const updated = nextEvent(side, "messageUpdated", ({ updateReasons }) => updateReasons.includes("body"));
        await mine.updateBody("Second");
        assert.equal((await updated).message.body, "Second");
        const changed = nextEvent(side, "messageUpdated", ({ updateReasons }) => updateReasons.includes("attributes"));
        await mine.updateAttributes({ a: [1] });
        assert.deepEqual((await changed).message.attributes, { a: [1] });
        assert.equal(theirs.body, "Second");
        const removed = nextEvent(side, "messageRemoved");
        await mine.remove();
        assert.equal((await removed).sid, mine.sid);
      });

      test("sends media, which the other member downloads", async () => {
        const heard = nextEvent(await ofBob(shared), "messageAdded");
        const picture = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0xff, 0x00]);
        const sent = shared
          .prepareMessage()
          .setBody("Two files")
          .addMedia({ contentType: "image/png", filename: "Übersicht 1.png", media: picture })
          .addMedia({ contentType: "text/plain", filename: "note.txt", media: Buffer.from("a note") });
        await sent.build().send();
        const message = await heard;
        assert.deepEqual([message.body, message.type], ["Two files", "media"]);
        const [first, second] = message.attachedMedia;
        assert.deepEqual(
          [first, second].map(({ contentType, filename, size }) => [contentType, filename, size]),
          [
            ["image/png", "Übersicht 1.png", picture.length],
            ["text/plain", "note.txt", 6],
          ],
        );
        const downloaded = await fetch(await first.getContentTemporaryUrl());
        assert.deepEqual(Buffer.from(await downloaded.arrayBuffer()), picture);
        assert.equal(await (await fetch(await second.getContentTemporaryUrl())).text(), "a note");
      });

      test("shows who is typing", async () => {
        const side = await ofBob(shared);
        const started = nextEvent(side, "typingStarted");
        await shared.typing();
        assert.equal((await started).identity, "alice");
        assert.equal((await nextEvent(side, "typingEnded", undefined, 8_000)).identity, "alice");
      });

      test("keeps the read horizon", async () => {
        const conversation = await create(alice, {}, "bob");
        await conversation.sendMessage("One");
        await conversation.sendMessage("Two");
        const side = await ofBob(conversation);
        assert.equal(await side.getUnreadMessagesCount(), null);
        await sleep(HTTP_CACHE);
        const seen = nextEvent(conversation, "participantUpdated", ({ participant, updateReasons }) =>
          participant.identity === "bob" && updateReasons.includes("lastReadMessageIndex"));
        assert.equal(await side.setAllMessagesRead(), 0);
        assert.equal((await seen).participant.lastReadMessageIndex, 1);
        assert.equal(await side.getUnreadMessagesCount(), 0);
        await sleep(HTTP_CACHE);
        assert.equal(await side.updateLastReadMessageIndex(0), 1);
        assert.equal(await side.getUnreadMessagesCount(), 1);
        await sleep(HTTP_CACHE);
        await side.setAllMessagesUnread();
        await until(() => side.lastReadMessageIndex === null);
        assert.equal(await side.getUnreadMessagesCount(), null);
      });

      test("sees participants join and leave", async () => {
        const conversation = await create(alice, {}, "bob");
        const side = await ofBob(conversation);
        const joined = everyEvent(side, "participantJoined");
        await conversation.add("carol", { role: "guest" });
        await conversation.addNonChatParticipant("+15017122661", `+1555867${1000 + Number(version[0])}`);
        await until(() => joined.length === 2);
        assert.deepEqual(joined.map(({ type }) => type).sort(), ["chat", "sms"]);
        const carol = joined.find(({ identity }) => identity === "carol");
        assert.deepEqual(carol.attributes, { role: "guest" });
        assert.equal(await conversation.getParticipantsCount(), 4);
        const left = nextEvent(side, "participantLeft");
        await conversation.removeParticipant("carol");
        assert.equal((await left).identity, "carol");
        assert.deepEqual((await side.getParticipants()).map(({ identity }) => identity).sort(), ["alice", "bob", null]);
      });

      test("gets changes of the state, the names and the attributes of a conversation", async () => {
        const conversation = await create(alice, {}, "bob");
        const side = await ofBob(conversation);
        const reasons = everyEvent(side, "updated");
        await v1.conversations(conversation.sid).update({ state: "inactive" });
        await until(() => side.state?.current === "inactive");
        await conversation.updateFriendlyName("Renamed");
        await conversation.updateUniqueName(`unique ${version}`);
        await conversation.updateAttributes({ topic: { id: 1 } });
        await until(() => side.attributes.topic && side.uniqueName);
        assert.deepEqual([side.friendlyName, side.uniqueName, side.attributes], [
          "Renamed",
          `unique ${version}`,
          { topic: { id: 1 } },
        ]);
        const received = reasons.flatMap(({ updateReasons }) => updateReasons);
        for (const reason of ["state", "friendlyName", "uniqueName", "attributes"]) assert.ok(received.includes(reason));
        assert.equal((await bob.getConversationByUniqueName(`unique ${version}`)).sid, conversation.sid);
      });

      test("is added to a conversation and removed from it", async () => {
        const { sid } = await v1.conversations.create({ friendlyName: "For bob" });
        const joined = nextEvent(bob, "conversationJoined", (conversation) => conversation.sid === sid);
        await v1.conversations(sid).participants.create({ identity: "bob" });
        assert.equal((await joined).friendlyName, "For bob");
        const left = nextEvent(bob, "conversationLeft", (conversation) => conversation.sid === sid);
        await v1.conversations(sid).participants("bob").remove();
        await left;
      });

      test("creates a conversation, joins it, sends, counts, leaves and deletes it", async () => {
        const conversation = await alice.createConversation({ friendlyName: "Own", attributes: { a: 1 } });
        assert.deepEqual([conversation.createdBy, conversation.attributes], ["alice", { a: 1 }]);
        await conversation.join();
        await until(() => conversation.status === "joined");
        await conversation.sendMessage("Alone");
        assert.equal(await conversation.getMessagesCount(), 1);
        assert.equal(await conversation.getParticipantsCount(), 1);
        const left = nextEvent(alice, "conversationLeft", ({ sid }) => sid === conversation.sid);
        await conversation.leave();
        await left;
        const other = await create(alice, {}, "bob");
        const side = await ofBob(other);
        const removed = nextEvent(bob, "conversationRemoved", ({ sid }) => sid === side.sid);
        await other.delete();
        await removed;
        await assert.rejects(v1.conversations(other.sid).fetch(), { code: 20404 });
      });

      test("sets the notification level", async () => {
        await shared.setUserNotificationLevel("muted");
        await until(() => shared.notificationLevel === "muted");
        await shared.setUserNotificationLevel("default");
        await until(() => shared.notificationLevel === "default");
      });

      test("changes the name and the attributes of its User", async () => {
        const user = await bob.getUser("alice");
        const updates = everyEvent(user, "updated");
        await alice.user.updateFriendlyName("Alice A.");
        await alice.user.updateAttributes({ team: "red" });
        await until(() => user.attributes.team);
        assert.deepEqual([user.friendlyName, user.attributes], ["Alice A.", { team: "red" }]);
        const reasons = updates.flatMap(({ updateReasons }) => updateReasons);
        assert.ok(reasons.includes("friendlyName") && reasons.includes("attributes"));
      });

      test("shows who is online", async () => {
        const visitor = await connect("visitor");
        const user = await bob.getUser("visitor");
        await until(() => user.isOnline);
        assert.equal((await v1.users("visitor").fetch()).isOnline, true);
        await visitor.shutdown();
        await sleep(1_000);
        assert.equal(user.isOnline, true, "a client that connects again soon stays online");
        await until(() => user.isOnline === false, 15_000);
        assert.equal((await v1.users("visitor").fetch()).isOnline, false);
      });

      test("is warned before its token expires, and renews the token", async () => {
        const client = new Client(key.token("renewer", 100), { Twilsock: { uri: server.socketUrl } });
        clients.push(client);
        const warned = nextEvent(client, "tokenAboutToExpire");
        await initialized(client);
        await warned;
        await client.updateToken(key.token("renewer"));
        assert.equal(client.connectionState, "connected");
      });

      test("gets an event when its token has expired", async () => {
        const client = new Client(key.token("expiring", 3), { Twilsock: { uri: server.socketUrl } });
        clients.push(client);
        const expired = nextEvent(client, "tokenExpired", undefined, 10_000);
        await initialized(client);
        await expired;
        await until(() => client.connectionState !== "connected");
      });

      test("is denied with an invalid token", async () => {
        const client = new Client(`${key.token("mallory").slice(0, -6)}AAAAAA`, { Twilsock: { uri: server.socketUrl } });
        clients.push(client);
        const { terminal, httpStatusCode, errorCode } = await nextEvent(client, "connectionError");
        assert.deepEqual([terminal, httpStatusCode, errorCode], [true, 401, 20107]);
        await until(() => client.connectionState === "denied");
      });

      test("cannot read the conversation of others, and cannot edit the message of another", async () => {
        const conversation = await create(alice, { friendlyName: "Private" });
        const stranger = await connect("stranger");
        await assert.rejects(stranger.getConversationBySid(conversation.sid));
        const side = await ofBob(shared);
        const added = nextEvent(side, "messageAdded");
        await shared.sendMessage("Mine");
        const theirs = await added;
        await assert.rejects(theirs.updateBody("Forged"));
        await assert.rejects(theirs.remove());
        assert.equal((await v1.conversations(shared.sid).messages(theirs.sid).fetch()).body, "Mine");
      });

      test("hears nothing of a conversation after its removal", async () => {
        const conversation = await create(alice, {}, "bob");
        const side = await ofBob(conversation);
        const heard = everyEvent(side, "messageAdded");
        const all = everyEvent(conversation, "messageAdded");
        const sends = [];
        for (let number = 0; number < 40; number += 1) {
          sends.push(conversation.sendMessage(`Number ${number}`));
          if (number === 20) sends.push(v1.conversations(conversation.sid).participants("bob").remove());
          await sleep(5);
        }
        await Promise.all(sends);
        await until(() => all.length === 40);
        const { dateCreated } = all.at(-1);
        assert.ok(heard.length < 40, `bob heard ${heard.length} messages until ${dateCreated}`);
        const known = heard.length;
        await conversation.sendMessage("Secret");
        await sleep(300);
        assert.equal(heard.length, known);
        assert.ok(!bodiesOf(heard).includes("Secret"));
      });

      test("gets the conversation that ConversationWithParticipants creates", async () => {
        const joined = [alice, bob].map((client) =>
          nextEvent(client, "conversationJoined", ({ friendlyName }) => friendlyName === "Group"));
        await v1.conversationWithParticipants.create({
          friendlyName: "Group",
          participant: ["alice", "bob"].map((identity) => JSON.stringify({ identity })),
        });
        const [one, two] = await Promise.all((await Promise.all(joined)).map((each, index) => loaded([alice, bob][index], each)));
        assert.equal(one.sid, two.sid);
        const added = nextEvent(two, "messageAdded");
        await one.sendMessage("Hello group");
        assert.equal((await added).body, "Hello group");
      });

      test("gets each of 50 messages that are sent at once, exactly once and in order", async () => {
        const conversation = await create(alice, {}, "bob");
        const both = [conversation, await ofBob(conversation)].map((side) => everyEvent(side, "messageAdded"));
        const numbers = Array.from({ length: 50 }, (_, number) => `Number ${number}`);
        const indexes = await Promise.all(numbers.map((body) => conversation.sendMessage(body)));
        assert.equal(new Set(indexes).size, 50);
        for (const heard of both) {
          await until(() => heard.length >= 50);
          assert.deepEqual(bodiesOf(heard).sort(), [...numbers].sort());
          assert.deepEqual(heard.map(({ index }) => index), heard.map((_, index) => index));
        }
      });

      test(`misses and doubles nothing while sockets are cut ${cuts} times`, async () => {
        const proxy = await cuttingProxy(server);
        const conversation = await create(alice, {});
        const listeners = await Promise.all(
          Array.from({ length: 10 }, async (_, number) => {
            const identity = `listener ${number}`;
            await conversation.add(identity);
            const client = await connect(identity, { uri: proxy.socketUrl, retryPolicy: { min: 20, max: 100 } });
            return everyEvent(await loaded(client, conversation), "messageAdded");
          }),
        );
        const sent = [];
        while (proxy.cuts() < cuts) {
          sent.push(`Number ${sent.length}`);
          await conversation.sendMessage(sent.at(-1));
          proxy.cutOne();
          await sleep(20);
        }
        for (const heard of listeners) {
          await until(() => heard.length >= sent.length, 20_000);
          assert.deepEqual(bodiesOf(heard).sort(), [...sent].sort());
        }
        proxy.close();
      });

      test("loads a page again and comes back after an absence without a missed message", async () => {
        const conversation = await create(alice, {}, "traveller");
        const first = await connect("traveller");
        const side = await until(() => first.getConversationBySid(conversation.sid));
        await conversation.sendMessage("Before");
        await until(async () => (await side.getMessages()).items.length === 1);
        await first.shutdown();
        await conversation.sendMessage("While away");
        const second = await connect("traveller");
        const again = await until(() => second.getConversationBySid(conversation.sid));
        assert.deepEqual(bodiesOf((await again.getMessages()).items), ["Before", "While away"]);
        const heard = nextEvent(again, "messageAdded", ({ body }) => body === "After");
        await conversation.sendMessage("After");
        await heard;
        await v1.conversations(conversation.sid).participants("traveller").remove();
        await second.shutdown();
        const third = await connect("traveller");
        assert.deepEqual((await third.getSubscribedConversations()).items, []);
      });
    });
  }

  describe("when the server stops", { concurrency: false }, () => {
    for (const [how, signal] of Object.entries({ "with the request to connect again": "SIGTERM", "by kill -9": "SIGKILL" })) {
      test(`${how}, clients of each version connect again and miss nothing`, async () => {
        const folder = mkdtempSync(join(tmpdir(), "convoke-chat-"));
        let server = await startServer({ data: join(folder, "data.db") });
        try {
          const key = await newKey(server);
          const v1 = restClient(server);
          const { sid } = await v1.conversations.create();
          const clients = [];
          const heard = [];
          for (const [version, name] of Object.entries(VERSIONS)) {
            await v1.conversations(sid).participants.create({ identity: version });
            const { Client } = require(name);
            const client = new Client(key.token(version), {
              Twilsock: { uri: server.socketUrl },
              retryPolicy: { min: 100, max: 500 },
            });
            await initialized(client);
            clients.push(client);
            heard.push(everyEvent(await loaded(client, { sid }), "messageAdded"));
          }
          await v1.conversations(sid).messages.create({ body: "Before" });
          await Promise.all(heard.map((each) => until(() => each.length === 1)));
          await server.stop(signal);
          server = await startServer({ data: join(folder, "data.db"), port: server.port });
          await restClient(server).conversations(sid).messages.create({ body: "After" });
          for (const each of heard) {
            await until(() => each.length >= 2, 20_000);
            assert.deepEqual(bodiesOf(each), ["Before", "After"]);
          }
          await sleep(RESTART_PAUSE);
          for (const each of heard) assert.equal(each.length, 2);
          await Promise.all(clients.map((client) => client.shutdown()));
        } finally {
          await server.stop();
          rmSync(folder, { recursive: true, force: true });
        }
      });
    }
  });
});

/**
 * Return a client's conversation after the client has read the messages and participants. Then the client gets no more
 * events for earlier changes.
 */
async function loaded(client, { sid }) {
  const conversation = await until(() => client.getConversationBySid(sid));
  await Promise.all([conversation.getMessages(), conversation.getParticipants()]);
  return conversation;
}

function initialized(client) {
  return new Promise((resolve, reject) => {
    client.on("stateChanged", (state) => {
      if (state === "initialized") resolve();
      if (state === "failed") reject(new Error("the client could not initialise"));
    });
  });
}
