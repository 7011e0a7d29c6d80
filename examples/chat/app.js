// A chat with the unmodified SDK. Only the option `Twilsock` differs from an application at Twilio.
const { Client } = window.Twilio.Conversations;
const element = (id) => document.getElementById(id);
const identity = new URLSearchParams(location.search).get("identity") ?? "guest";
element("identity").textContent = identity;

const newToken = async () => (await fetch(`/token?identity=${encodeURIComponent(identity)}`)).json();
const { token, socket } = await newToken();
const client = new Client(token, { Twilsock: { uri: socket } });
let shown;

client.on("connectionStateChanged", (state) => (element("state").textContent = state));
client.on("connectionError", ({ message }) => (element("state").textContent = message));
client.on("tokenAboutToExpire", async () => client.updateToken((await newToken()).token));
client.on("conversationJoined", list);
client.on("conversationLeft", list);
client.on("messageAdded", (message) => message.conversation === shown && show(message));
client.on("typingStarted", (participant) => (element("typing").textContent = `${participant.identity} is typing`));
client.on("typingEnded", () => (element("typing").textContent = ""));

client.on("stateChanged", async (state) => state === "initialized" && (await list()));

async function list() {
  const { items } = await client.getSubscribedConversations();
  element("conversations").replaceChildren(...items.map(({ sid, friendlyName }) => new Option(friendlyName ?? sid, sid)));
  await open(items.find(({ sid }) => sid === shown?.sid) ?? items[0]);
}

async function open(conversation) {
  if (conversation === shown) return;
  shown = conversation;
  element("messages").replaceChildren();
  if (!shown) return;
  element("conversations").value = shown.sid;
  for (const message of (await shown.getMessages()).items) show(message);
  await shown.setAllMessagesRead();
}

function show({ sid, author, body }) {
  if (document.getElementById(sid)) return;
  const item = document.createElement("li");
  item.id = sid;
  item.textContent = `${author}: ${body}`;
  element("messages").append(item);
}

element("conversations").addEventListener("change", async ({ target }) => {
  await open(await client.getConversationBySid(target.value));
});

element("invite").addEventListener("submit", async (event) => {
  event.preventDefault();
  const other = new FormData(event.target).get("identity");
  const conversation = await client.createConversation({ friendlyName: `${identity} and ${other}` });
  await conversation.join();
  await conversation.add(other);
  event.target.reset();
  await open(conversation);
});

element("send").addEventListener("submit", async (event) => {
  event.preventDefault();
  await shown.sendMessage(new FormData(event.target).get("body"));
  event.target.reset();
});

element("send").addEventListener("input", () => shown?.typing());
