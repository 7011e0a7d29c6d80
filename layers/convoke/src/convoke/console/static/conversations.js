// The conversations of a service: the list, and one conversation with its thread, members, timers and provisioning.
// Simulated phones: the list, and one phone with its threads.

import {
  List, View, announce, api, apiUrl, ask, badge, button, collect, convokeServiceRoot, copyable, countdown, emptyState, facts, field,
  fill, form, h, head, keyed, link, newId, page, problem, pythonClient, receiptBadges, segment, serviceRoot, services,
  shortSid, simulatesPhones, stateBadge, time, valuesOf,
} from "./base.js";

const MESSAGES_PER_PAGE = 50;
const EARLIEST = "1970-01-01";

export const conversationHref = (service, sid) => `#/conversations/${service}/${sid}`;
/** Return the link to a phone, or to one of its threads. `thread` contains the other numbers of the thread. */
const phoneHref = (number, thread) => `#/phones/${segment(number)}${thread ? `/${segment(thread)}` : ""}`;
export const nameOf = (conversation) => conversation.friendly_name || conversation.unique_name || shortSid(conversation.sid);
/** Return the text below the name of a conversation in a list. The text shows something that `nameOf` does not show. */
function detailOf(conversation) {
  if (conversation.friendly_name && conversation.unique_name) return conversation.unique_name;
  if (conversation.friendly_name || conversation.unique_name) return shortSid(conversation.sid);
  return `Created ${new Date(conversation.date_created).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" })}`;
}
export const memberName = (member) =>
  member.identity || member.messaging_binding?.address || member.messaging_binding?.projected_address || shortSid(member.sid);

/** Return the author of the messages that a member sends. In a group MMS, this can be the projected address. */
const authorOf = (member) =>
  member.identity || member.messaging_binding?.address || member.messaging_binding?.projected_address;

function avatar(name) {
  const letters = name.replace(/^\w+:/, "").replace(/[^\p{L}\p{N}]/gu, "");
  return h("span", { class: "avatar", "aria-hidden": "true" }, (letters.slice(name.startsWith("+") ? -2 : 0) || "?").slice(0, 2));
}

// The list ------------------------------------------------------------------------------------------------------------

const STATES = [["", "All states"], ["active", "Active"], ["inactive", "Inactive"], ["closed", "Closed"], ["initializing", "Initializing"]];

const SEARCHES = [
  { matches: (text) => /^CH[0-9a-f]{32}$/i.test(text), find: findByName },
  { matches: (text) => /^(\+|\w+:\+?)\d+$/.test(text), find: (root, text) => findMemberships(root, { Address: text }) },
  {
    matches: () => true,
    find: async (root, text) => {
      const found = [await findByName(root, text), await findMemberships(root, { Identity: text })].flat();
      return [...new Map(found.map((each) => [each.sid, each])).values()];
    },
  },
];

async function findByName(root, text) {
  try {
    return [await api.get(`${root}/Conversations/${segment(text)}`)];
  } catch (error) {
    if (error.status === 404) return [];
    throw error;
  }
}

async function findMemberships(root, query) {
  const { items } = await collect(`${root}/ParticipantConversations`, "conversations", query, 100);
  return items.map((each) => ({
    sid: each.conversation_sid,
    chat_service_sid: each.chat_service_sid,
    friendly_name: each.conversation_friendly_name,
    unique_name: each.conversation_unique_name,
    state: each.conversation_state,
    date_created: each.conversation_date_created,
    date_updated: each.conversation_date_updated,
  }));
}

/** Mark a list element if its details are open beside the list. Otherwise remove the mark. */
function markCurrent(element, isCurrent) {
  if (isCurrent) element.setAttribute("aria-current", "page");
  else element.removeAttribute("aria-current");
}

class Conversations extends View {
  render() {
    this.classList.add("split");
    this.service ||= services.defaultSid;
    const options = services.all.map((service) => [service.sid, service.friendly_name]);
    this.filters = h("form", { class: "filters", role: "search" },
      options.length > 1 && field({ name: "service", label: "Service", options, value: this.service, unseen: true }),
      field({ name: "search", label: "Search", type: "search", placeholder: "SID, unique name, identity or address", unseen: true }),
      field({ name: "state", label: "State", options: STATES, unseen: true }),
      h("details", { class: "period" }, h("summary", {}, "Period of creation"),
        h("div", {}, field({ name: "from", label: "From", type: "date" }), field({ name: "to", label: "To", type: "date" }))));
    this.filters.addEventListener("submit", (event) => event.preventDefault());
    this.filters.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.filter(), 250);
    });
    this.list = new List({
      path: `${serviceRoot(this.service)}/Conversations`,
      key: "conversations",
      keyOf: (each) => each.sid,
      render: (each) => this.item(each),
      empty: () => this.empty(),
    });
    this.detail = h("div", { class: "detail" });
    this.index = h("section", { class: "index", "aria-label": "List of conversations" },
      head("Conversations", this.createButton()), this.filters, this.list.element);
    fill(this, this.index, this.detail);
    this.show(this.sid);
  }
  createButton() {
    const create = button("New", () => this.create(), "primary");
    create.setAttribute("aria-label", "New conversation");
    return create;
  }
  /** Show the conversation `sid`. If `sid` is empty, show a hint instead. */
  show(sid) {
    this.sid = sid;
    this.classList.toggle("open", Boolean(sid));
    const shown = sid
      ? Object.assign(document.createElement("cv-conversation"), { service: this.service, sid })
      : h("div", { class: "placeholder" }, h("p", {}, "Choose a conversation to see its messages, members and timers."));
    fill(this.detail, shown);
    for (const each of this.list.rows.children) this.mark(each);
  }
  mark(element) {
    markCurrent(element, element.sid === this.sid);
  }
  /** Show the conversation in the URL. Return false if the URL contains another service, which needs a new list. */
  navigate([service, sid]) {
    if (service && service !== this.service) return false;
    this.show(sid);
    return true;
  }
  filter() {
    const { service, search, state, from, to } = valuesOf(this.filters);
    if (service && service !== this.service) location.hash = `#/conversations/${service}`;
    // Always send a start date, because the API lists the newest conversation first only with a date filter.
    this.list.query = { State: state || null, StartDate: from || EARLIEST, EndDate: to || null };
    this.search = search.trim();
    return this.update();
  }
  async refresh() {
    const root = serviceRoot(this.service);
    const wasEmpty = this.list.items?.length === 0;
    if (!this.search) {
      this.list.query.StartDate ||= EARLIEST;
      await this.list.load();
      if (wasEmpty && this.list.items.length && !this.sid) this.show();
      return;
    }
    const found = await SEARCHES.find(({ matches }) => matches(this.search)).find(root, this.search);
    keyed(this.list.rows, found, (each) => each.sid, (each) => this.item(each));
    fill(this.list.nothing, !found.length && emptyState("Nothing found", "No conversation has this SID or unique name, and no member this identity or address."));
    this.list.more.hidden = true;
  }
  item(conversation) {
    const element = link(conversationHref(this.service, conversation.sid),
      h("span", { class: "line" }, h("span", { class: "name" }, nameOf(conversation)), stateBadge(conversation.state)),
      h("span", { class: "line quiet" },
        h("span", {}, detailOf(conversation)),
        time(conversation.date_updated)));
    element.className = "item";
    element.sid = conversation.sid;
    this.mark(element);
    return element;
  }
  empty() {
    const { State, StartDate, EndDate } = this.list.query;
    if (State || EndDate || StartDate !== EARLIEST) return emptyState("Nothing found", "No conversation matches the filters.");
    if (!this.sid) fill(this.detail, this.firstSteps("Create the first conversation"));
    return this.firstSteps("No conversations yet");
  }
  /** Return code to paste. The code is beside the list on a wide screen, and in the list on a narrow screen. */
  firstSteps(title) {
    return emptyState(title, "Press New, or paste this into Python:",
      `${pythonClient()}client.conversations.v1.conversation_with_participants.create(
    friendly_name="Hello", participant=['{"identity": "alice"}', '{"identity": "bob"}'])`);
  }
  create() {
    ask({
      title: "New conversation",
      label: "Create",
      fields: [
        field({ name: "FriendlyName", label: "Name" }),
        field({ name: "UniqueName", label: "Unique name", hint: "Optional. Must be unique in the service." }),
        field({
          name: "members", label: "Members", type: "textarea",
          hint: "One per line: an identity such as alice, or a phone and its proxy address such as +15558675310 +15017122661.",
        }),
        field({ name: "webhooks", label: "Send webhooks", type: "checkbox", value: true }),
      ],
      submit: async ({ FriendlyName, UniqueName, members, webhooks }) => {
        const Participant = members.split("\n").filter((line) => line.trim()).map((line) => JSON.stringify(participant(line.trim())));
        const fields = { FriendlyName: FriendlyName || null, UniqueName: UniqueName || null };
        const path = Participant.length ? "ConversationWithParticipants" : "Conversations";
        const made = await api.post(`${serviceRoot(this.service)}/${path}`, { ...fields, Participant }, { webhooks });
        location.hash = conversationHref(this.service, made.sid);
        await this.update();
      },
    });
  }
}

function participant(line) {
  const [address, proxy_address] = line.split(/\s+/);
  const isAddress = proxy_address || /^(\+|\w+:\+)/.test(address);
  return isAddress ? { messaging_binding: { address, proxy_address } } : { identity: line };
}

// Threads -------------------------------------------------------------------------------------------------------------

/** A view with messages, which loads earlier messages on request. If the end is visible, an update keeps it visible. */
class Thread extends View {
  /** Create the elements of the thread, above `controls`. */
  makeThread(...controls) {
    this.wanted = MESSAGES_PER_PAGE;
    this.messages = h("ol", { class: "messages", "aria-label": "Messages", tabindex: 0 });
    this.earlier = button("Load earlier messages", () => this.loadEarlier(), "small");
    this.earlier.hidden = true;
    this.nothing = h("div");
    return h("section", { class: "thread", "aria-label": "Thread" }, h("div", { class: "scroll" }, this.earlier, this.nothing, this.messages), controls);
  }
  /** Show messages, or `empty` without messages. The newest of `items` is first. `next` is null without earlier messages. */
  showThread(items, next, empty) {
    const scroller = this.messages.parentElement;
    const atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 40;
    keyed(this.messages, items.toReversed(), (each) => each.sid, (each) => this.message(each));
    this.earlier.hidden = !next;
    fill(this.nothing, !items.length && empty);
    if (atEnd) this.scrollToEnd();
  }
  scrollToEnd() {
    const scroller = this.messages.parentElement;
    scroller.scrollTop = scroller.scrollHeight;
  }
  async loadEarlier() {
    this.wanted += MESSAGES_PER_PAGE;
    await this.update();
  }
}

/** Return the element of a message. `details` are shown beside the author, above the `content`. */
function bubble(author, details, ...content) {
  return h("li", { class: "message" }, avatar(author), h("div", { class: "bubble" },
    h("div", { class: "meta" }, h("strong", {}, author), details), content));
}

/** Return a composer. The key Enter submits the composer, and Shift and Enter begin a new line. */
function composerOf(text, options) {
  const composer = form({ ...options, label: "Send" });
  composer.classList.add("composer");
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      composer.requestSubmit();
    }
  });
  return composer;
}

// One conversation ----------------------------------------------------------------------------------------------------

class Conversation extends Thread {
  get root() {
    return `${serviceRoot(this.service)}/Conversations/${segment(this.sid)}`;
  }
  render() {
    this.top = h("header", { class: "head conversation" });
    this.composer = this.makeComposer();
    /** The SIDs of the messages whose copies are shown. */
    this.open = new Set();
    this.members = h("ul", { class: "members" });
    this.timers = h("div", {});
    this.about = h("div", {});
    const side = h("aside", { "aria-label": "About this conversation" },
      h("section", {}, h("div", { class: "section-head" }, h("h2", {}, "Members"), this.addButton = button("Add", () => this.addMember(), "small")), this.members),
      h("section", {}, h("h2", {}, "Timers"), this.timers),
      this.lazySection("Provisioning", () => this.provisioning()),
      this.lazySection("Webhooks", () => conversationWebhooks(this.root)),
      h("section", {}, h("h2", {}, "About"), this.about));
    fill(this, this.top, h("div", { class: "panes" }, this.makeThread(this.composer), side));
    // Disable the controls until the conversation is loaded. A conversation that does not exist is never loaded.
    this.permitChanges(false);
  }
  permitChanges(isOpen) {
    for (const control of this.composer.elements) control.disabled = !isOpen;
    this.addButton.hidden = !isOpen;
  }
  lazySection(title, load) {
    const body = h("div", {});
    const details = h("details", {}, h("summary", {}, h("h2", {}, title)), body);
    details.addEventListener("toggle", async () => {
      if (!details.open) return;
      try {
        fill(body, await load());
      } catch (error) {
        fill(body, error.status === 404 ? h("p", { class: "quiet" }, "The conversation was created without members.") : problem(error));
      }
    });
    return h("section", {}, details);
  }
  async refresh() {
    const [conversation, members, messages] = await Promise.all([
      api.get(this.root),
      collect(`${this.root}/Participants`, "participants", { PageSize: 100 }, 1000),
      collect(`${this.root}/Messages`, "messages", { Order: "desc", PageSize: MESSAGES_PER_PAGE }, this.wanted),
    ]);
    this.conversation = conversation;
    this.participants = members.items;
    this.showHead();
    this.showMembers();
    this.showMessages(messages);
    fill(this.timers, this.timerFacts());
    fill(this.about, facts([
      ["SID", copyable(conversation.sid, shortSid(conversation.sid))],
      ["Unique name", conversation.unique_name],
      ["Service", services.name(conversation.chat_service_sid)],
      ["Created", time(conversation.date_created)],
      ["Attributes", conversation.attributes !== "{}" && h("code", {}, conversation.attributes)],
    ].filter(([, value]) => value)), link(`#/timeline/${this.sid}`, "Events of this conversation"));
  }
  showHead() {
    const { state } = this.conversation;
    const isOpen = state === "active" || state === "inactive";
    this.permitChanges(isOpen);
    // Replace the header only after a change. Otherwise a button would lose the focus at each update.
    const shown = JSON.stringify([nameOf(this.conversation), state]);
    if (this.shownHead === shown) return;
    this.shownHead = shown;
    const back = link(`#/conversations/${this.service}`, "← All conversations");
    back.className = "back";
    fill(this.top, back, h("h1", { tabindex: -1 }, nameOf(this.conversation)), stateBadge(state), h("div", { class: "actions" },
      isOpen && button("Close", () => this.close(), "small"),
      button("Delete", () => this.deleteConversation(), "small danger-quiet")));
  }
  timerFacts() {
    const { date_inactive, date_closed } = this.conversation.timers;
    if (!date_inactive && !date_closed) return h("p", { class: "quiet" }, "No timer is running.");
    return facts([["Inactive in", date_inactive && countdown(date_inactive)], ["Closes in", date_closed && countdown(date_closed)]]);
  }
  showMembers() {
    keyed(this.members, this.participants, (each) => each.sid, (each) => this.member(each));
    if (!this.participants.length) fill(this.members, h("li", { class: "quiet" }, "No members."));
    const author = this.composer.elements.author;
    const names = [...new Set(this.participants.map(authorOf).filter(Boolean)), "system"];
    if (names.join("\n") === [...author.options].map((option) => option.value).join("\n")) return;
    const chosen = author.value;
    fill(author, names.map((name) => h("option", { value: name }, name)));
    author.value = names.includes(chosen) ? chosen : names[0];
  }
  member(member) {
    const binding = member.messaging_binding;
    const proxy = binding?.proxy_address || binding?.projected_address;
    const name = memberName(member);
    const details = [binding?.type, proxy && `via ${proxy}`, member.last_read_message_index !== null && `read to #${member.last_read_message_index}`];
    return h("li", { class: "member" }, avatar(name),
      h("span", { class: "who" }, h("span", { class: "name" }, name), h("span", { class: "quiet" }, details.filter(Boolean).join(" · ") || "chat")),
      h("button", { type: "button", class: "icon", title: "Remove", "aria-label": `Remove ${name}`, onclick: () => this.removeMember(member) }, "✕"));
  }
  // The thread
  showMessages({ items, next }) {
    const isClosed = this.conversation.state === "closed";
    this.showThread(items, next, emptyState("No messages", isClosed ? "The conversation is closed." : "Write the first one as any member."));
    this.markOwn();
  }
  message(message) {
    const copies = message.delivery && this.copies(message);
    const content = message.body ?? (message.media ? `Media ${message.media.map((each) => each.sid).join(", ")}` : `Content ${message.content_sid}`);
    const details = [time(message.date_created), h("span", { class: "quiet" }, `#${message.index}`)];
    return Object.assign(bubble(message.author, details, h("p", { class: "text" }, content), copies), { author: message.author });
  }
  /** Return a list of a message's copies to members without chat. The receipts are fetched when the list is opened. */
  copies(message) {
    const { total } = message.delivery;
    const word = ["failed", "undelivered", "read", "delivered", "sent"].find((each) => message.delivery[each] !== "none");
    const body = h("ul", { class: "copies" });
    // A new status replaces the element of the message. If the old element was open, open the new element.
    const details = h("details", { open: this.open.has(message.sid) }, h("summary", {}, `${total} ${total === 1 ? "copy" : "copies"} ${word || "queued"}`), body);
    details.addEventListener("toggle", async () => {
      if (!details.open) {
        this.open.delete(message.sid);
        return;
      }
      this.open.add(message.sid);
      try {
        const { items } = await page(`${this.root}/Messages/${message.sid}/Receipts`, "delivery_receipts");
        fill(body, items.map((receipt) => h("li", {}, h("span", {}, "To ", this.receiver(receipt)), receiptBadges(receipt),
          copyable(receipt.channel_message_sid, shortSid(receipt.channel_message_sid)))));
      } catch (error) {
        fill(body, h("li", {}, problem(error)));
      }
    });
    return details;
  }
  /** Return the name of the member who gets a copy. If the member is a simulated phone, the name is a link to it. */
  receiver(receipt) {
    const member = this.participants.find((each) => each.sid === receipt.participant_sid);
    if (!member) return shortSid(receipt.participant_sid);
    const address = member.messaging_binding?.address;
    return simulatesPhones && address ? link(phoneHref(address), address) : memberName(member);
  }
  /** Show the messages of the selected author on the right side. */
  markOwn() {
    const own = this.composer.elements.author.value;
    for (const each of this.messages.children) each.classList.toggle("own", each.author === own);
  }
  makeComposer() {
    const text = h("textarea", { name: "body", rows: 2, "aria-label": "Message", placeholder: "Write a message…", required: true });
    const author = h("select", { name: "author", id: "author" });
    const composer = composerOf(text, {
      fields: [text],
      extra: [h("label", { for: "author" }, "as"), author, h("label", { class: "inline" }, h("input", { type: "checkbox", name: "webhooks", checked: true }), "Send webhooks")],
      submit: async ({ author, body, webhooks }) => {
        await api.post(`${this.root}/Messages`, { Author: author, Body: body }, { webhooks });
        text.value = "";
        await this.update();
        this.scrollToEnd();
      },
    });
    author.addEventListener("change", () => this.markOwn());
    return composer;
  }
  // Actions
  addMember() {
    ask({
      title: "Add a member",
      label: "Add",
      fields: [
        field({ name: "Identity", label: "Identity", hint: "For a person in chat." }),
        field({ name: "Address", label: "Address", hint: "For a person outside chat, such as +15558675310 or whatsapp:+15558675310." }),
        field({ name: "ProxyAddress", label: "Proxy address", hint: "The number of the account that this person sees." }),
      ],
      submit: async ({ Identity, Address, ProxyAddress }) => {
        const given = { Identity, "MessagingBinding.Address": Address, "MessagingBinding.ProxyAddress": ProxyAddress };
        const fields = Object.fromEntries(Object.entries(given).filter(([, value]) => value));
        await api.post(`${this.root}/Participants`, fields, { webhooks: true });
        await this.update();
      },
    });
  }
  removeMember(member) {
    ask({
      title: `Remove ${memberName(member)}?`,
      text: "The messages of this member stay.",
      label: "Remove", danger: true,
      submit: async () => {
        await api.delete(`${this.root}/Participants/${member.sid}`, { webhooks: true });
        await this.update();
      },
    });
  }
  close() {
    ask({
      title: "Close this conversation?",
      text: "A closed conversation can only be read and deleted. It cannot be opened again.",
      label: "Close conversation", danger: true,
      submit: async () => {
        await api.post(this.root, { State: "closed" }, { webhooks: true });
        await this.update();
      },
    });
  }
  deleteConversation() {
    ask({
      title: "Delete this conversation?",
      text: "Its messages and members are deleted, too. This cannot be undone.",
      label: "Delete conversation", danger: true,
      submit: async () => {
        await api.delete(this.root, { webhooks: true });
        announce("Deleted.");
        // Remove the view, so that no update fetches the deleted conversation.
        this.remove();
        location.hash = `#/conversations/${this.service}`;
        window.dispatchEvent(new CustomEvent("changed"));
      },
    });
  }
  async provisioning() {
    const record = await api.get(`${convokeServiceRoot(this.service)}/Conversations/${segment(this.sid)}/Provisioning`);
    const name = (sid) => {
      const member = this.participants.find((each) => each.sid === sid);
      return member ? memberName(member) : shortSid(sid);
    };
    const tone = { added: "good", failed: "bad" };
    return [
      facts([["Outcome", badge(record.status, tone[record.status] || "info")], ["Attempts", record.attempts]]),
      h("ul", { class: "outcomes" }, record.participants.map((each) => h("li", {}, h("span", { class: "name" }, name(each.sid)),
        badge(each.status, tone[each.status] || "info"), each.code && h("p", {}, h("strong", {}, each.code), ` ${each.message}`)))),
      record.causes.map((cause) => h("p", {}, h("strong", {}, cause.code), ` ${cause.message}`)),
      record.alert_sid && link(`#/errors/${record.alert_sid}`, "Alert in the error log"),
    ];
  }
}

/** Return a list of a conversation's webhooks, with buttons to add and delete webhooks. */
export async function conversationWebhooks(root) {
  const body = h("div", { class: "hooks" });
  const show = async () => {
    const { items } = await page(`${root}/Webhooks`, "webhooks");
    fill(body,
      items.length ? h("ul", { class: "outcomes" }, items.map((hook) => h("li", {},
        h("span", { class: "name" }, hook.configuration.url || hook.configuration.flow_sid),
        badge(hook.target),
        h("button", { type: "button", class: "icon", "aria-label": `Delete webhook ${hook.sid}`, title: "Delete", onclick: () => drop(hook) }, "✕"),
        h("p", { class: "quiet" }, (hook.configuration.filters || hook.configuration.triggers || []).join(", ")))))
        : h("p", { class: "quiet" }, "This conversation has no webhooks of its own."),
      button("Add a webhook", add, "small"));
  };
  const drop = (hook) => ask({
    title: "Delete this webhook?", label: "Delete", danger: true,
    submit: async () => {
      await api.delete(`${root}/Webhooks/${hook.sid}`);
      await show();
    },
  });
  const add = () => ask({
    title: "Add a webhook to the conversation", label: "Add",
    fields: [
      field({ name: "url", label: "URL", type: "url", required: true }),
      field({ name: "filters", label: "Events", value: "onMessageAdded", hint: "Names of post-events, separated by spaces." }),
    ],
    submit: async ({ url, filters }) => {
      await api.post(`${root}/Webhooks`, { Target: "webhook", "Configuration.Url": url, "Configuration.Filters": filters.split(/[\s,]+/).filter(Boolean) });
      await show();
    },
  });
  await show();
  return body;
}

// Simulated phones ----------------------------------------------------------------------------------------------------

const PHONES = "/convoke/v1/Simulate/Phones";

/** Return the numbers to which an answer to a message goes. Messages with the same numbers belong to one thread. */
const threadOf = (message) => message.numbers.join(", ");

class Phones extends View {
  render() {
    if (!simulatesPhones) {
      fill(this, head("Phones"), emptyState("No phone is simulated here",
        "Convoke simulates phones on one machine only. This deployment sends copies to real phones through the carriers of its senders. Each message of a conversation shows what became of its copies."),
      h("p", { class: "onward" }, link("#/table/Senders", "Show the senders")));
      return;
    }
    this.classList.add("split");
    this.filters = h("form", { class: "filters opener", role: "search" },
      field({ name: "number", label: "Phone number", type: "search", placeholder: "+15558675310", unseen: true, autocomplete: "off" }),
      h("button", { type: "submit", class: "button" }, "Open"));
    this.filters.addEventListener("input", () => this.showPhones());
    this.filters.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.typed) location.hash = phoneHref(this.typed);
    });
    this.phones = [];
    this.rows = h("div", { class: "rows" });
    this.nothing = h("div");
    this.detail = h("div", { class: "detail" });
    fill(this, h("section", { class: "index", "aria-label": "List of phones" }, head("Phones"), this.filters, h("div", { class: "list" }, this.rows, this.nothing)), this.detail);
    this.navigate(this.parameters);
  }
  get typed() {
    return valuesOf(this.filters).number.trim();
  }
  /** Show the phone and the thread in the URL. If the URL contains no phone, show a hint. */
  navigate(parameters) {
    if (!simulatesPhones) return false;
    const [number, thread] = parameters.map(decodeURIComponent);
    this.classList.toggle("open", Boolean(number));
    if (number && number === this.phone?.number) this.phone.show(thread);
    else {
      this.phone = number && Object.assign(document.createElement("cv-phone"), { number, thread });
      fill(this.detail, this.phone || h("div", { class: "placeholder" }, h("p", {}, "Choose a phone, or enter a number, to write and answer as that phone.")));
    }
    for (const each of this.rows.children) markCurrent(each, each.itemKey === number);
    return true;
  }
  async refresh() {
    if (!simulatesPhones) return;
    const { items } = await collect(PHONES, "phones", { PageSize: 100 }, 1000);
    this.phones = items.sort((one, other) => other.date_updated.localeCompare(one.date_updated));
    this.showPhones();
  }
  showPhones() {
    const found = this.phones.filter((each) => each.number.includes(this.typed));
    keyed(this.rows, found, (each) => each.number, (each) => this.item(each));
    const { typed } = this;
    fill(this.nothing, !found.length && (typed
      ? emptyState("Not used yet", `Press Open to use ${typed} as a phone.`)
      : emptyState("No phones yet", "A phone is listed when it gets or sends its first message. Enter a number above, or paste this into a terminal:", `convoke phone send --url ${apiUrl} \\
  --from +15558675310 --to +15017122661 \\
  --body Hello`)));
  }
  item({ number, date_updated }) {
    const element = link(phoneHref(number), h("span", { class: "line" }, h("span", { class: "name" }, number), h("span", { class: "quiet" }, time(date_updated))));
    element.className = "item";
    markCurrent(element, number === this.phone?.number);
    return element;
  }
}

/** Maps the outcome of a message that a phone sent, but that is in no conversation, to a text. */
const OUTCOMES = { unclaimed: "No conversation expects it", rejected: "Rejected by a pre-event webhook" };

const STATUSES = ["sent", "undelivered", "failed", "delivered", "read"];
const FAILURES = ["undelivered", "failed"];
const REASONS = [["", "30008 Unknown"], ["30003", "30003 Unreachable"], ["30004", "30004 Blocked"], ["30005", "30005 No such number"], ["30006", "30006 Landline"], ["30007", "30007 Filtered"]];

class Phone extends Thread {
  get root() {
    return `${PHONES}/${segment(this.number)}`;
  }
  render() {
    this.threads = h("ul", { class: "tabs", "aria-label": "Threads" });
    this.stopped = h("div", { role: "status" });
    this.behavior = h("div", {});
    this.optOuts = h("div", {});
    const side = h("aside", { "aria-label": "About this phone" },
      h("section", {}, h("h2", {}, "Behavior"), this.behavior),
      h("section", {}, h("h2", {}, "Opted out"), this.optOuts));
    this.composer = this.makeComposer();
    const thread = this.makeThread(this.stopped, this.composer);
    this.threads.hidden = true;
    thread.prepend(this.threads);
    fill(this, h("header", { class: "head conversation" }, h("a", { class: "back", href: "#/phones" }, "← All phones"), h("h1", { tabindex: -1 }, this.number)),
      h("div", { class: "panes" }, thread, side));
  }
  /** Show another thread of the phone. */
  show(thread) {
    this.thread = thread;
    this.update();
  }
  async refresh() {
    const [phone, { items, next }] = await Promise.all([api.get(this.root), collect(`${this.root}/Thread`, "messages", { PageSize: MESSAGES_PER_PAGE }, this.wanted)]);
    const threads = [...new Set([...items.map(threadOf), this.thread].filter(Boolean))];
    const shown = this.thread || threads[0];
    this.showThreads(threads, shown);
    const empty = emptyState("No messages", shown ? "Write the first one." : "Enter the number of a business, and write to it.");
    this.showThread(items.filter((each) => threadOf(each) === shown), next, empty);
    this.showOptOuts(phone.opted_out, shown);
    this.showBehavior(phone);
  }
  showThreads(threads, shown) {
    keyed(this.threads, threads, (each) => each, (each) => h("li", {}, link(phoneHref(this.number, each), each)));
    for (const each of this.threads.children) markCurrent(each.firstElementChild, each.itemKey === shown);
    this.threads.hidden = !threads.length;
    if (this.addressed === shown) return;
    this.addressed = shown;
    this.composer.elements.to.value = shown || "";
    this.scrollToEnd();
  }
  showOptOuts(numbers, shown) {
    fill(this.optOuts, numbers.length ? h("ul", { class: "outcomes" }, numbers.map((each) => h("li", {}, h("span", { class: "name" }, each), badge("STOP", "warn"))))
      : h("p", { class: "quiet" }, "From no number."));
    const here = numbers.filter((each) => shown?.split(", ").includes(each));
    fill(this.stopped, here.length > 0 && h("p", { class: "notice stop" }, `This phone has opted out of ${here.join(", ")}. Copies fail with 21610 until it sends START.`));
  }
  showBehavior({ fail_next, reports_delivery }) {
    // Replace the form only after a change. Otherwise each update would undo the input.
    const shown = JSON.stringify([fail_next, reports_delivery]);
    if (this.shownBehavior === shown) return;
    this.shownBehavior = shown;
    fill(this.behavior, form({
      label: "Save",
      fields: [
        field({ name: "reports", label: "Reports deliveries", type: "checkbox", value: reports_delivery, hint: "If not, copies stay sent until you report a status." }),
        field({ name: "failures", label: "Attempts that fail next", type: "number", min: 0, max: 999999, required: true, value: fail_next, hint: "Convoke repeats a failed attempt after a pause." }),
      ],
      submit: async ({ reports, failures }) => {
        await api.post(this.root, { FailNext: failures, ReportsDelivery: reports });
        announce("Saved.");
        await this.update();
      },
    }));
  }
  message(message) {
    const { from, outcome, body, media_urls, conversation_sid, chat_service_sid } = message;
    const isCopy = conversation_sid && !outcome;
    const element = bubble(from, time(message.date_created), body && h("p", { class: "text" }, body),
      media_urls.map((url) => h("p", {}, h("a", { href: url, target: "_blank", rel: "noreferrer" }, "Open the media"))),
      h("div", { class: "foot" },
        OUTCOMES[outcome] && badge(OUTCOMES[outcome], "warn"),
        isCopy && chat_service_sid && receiptBadges(message),
        isCopy && this.reports(message).length > 0 && button("Report…", () => this.report(message), "small"),
        chat_service_sid && link(conversationHref(chat_service_sid, conversation_sid), "Conversation"),
        conversation_sid && !chat_service_sid && h("span", { class: "quiet" }, "The conversation was deleted."),
        !conversation_sid && !outcome && message.numbers.length === 1 && h("span", { class: "quiet" }, "Answer of the carrier")));
    element.classList.toggle("own", Boolean(outcome));
    return element;
  }
  /** Return the statuses that the carrier may report next. A copy that the carrier does not have yet has no status. */
  reports({ status }) {
    return status ? STATUSES.slice(STATUSES.indexOf(status) + 1) : [];
  }
  report(message) {
    const possible = this.reports(message);
    const canFail = possible.some((each) => FAILURES.includes(each));
    ask({
      title: "Report a status of this copy",
      text: canFail ? "As a carrier does. Webhooks get onDeliveryUpdated. A status moves only forward."
        : "A status moves only forward. To report that a copy failed, let the phone report no deliveries before the copy is sent.",
      label: "Report",
      fields: [
        field({ name: "Status", label: "Status", options: possible.toReversed().map((each) => [each, each]) }),
        canFail && field({ name: "ErrorCode", label: "Error code", options: REASONS, hint: "Only for undelivered and failed." }),
      ],
      submit: async ({ Status, ErrorCode }) => {
        const sids = { ConversationSid: message.conversation_sid, MessageSid: message.message_sid, ReceiptSid: message.sid };
        await api.post("/convoke/v1/Simulate/DeliveryStatus", { ...sids, Status, ErrorCode: (FAILURES.includes(Status) && ErrorCode) || null });
        await this.update();
      },
    });
  }
  makeComposer() {
    const known = h("datalist", { id: newId("numbers") });
    this.suggest(known);
    const text = h("textarea", { name: "body", rows: 2, "aria-label": "Message", placeholder: "Write a message…" });
    return composerOf(text, {
      fields: [
        text,
        h("details", { class: "media" }, h("summary", {}, "Add media"), field({ name: "media", label: "Media URL", type: "url", placeholder: "https://…", unseen: true })),
      ],
      extra: [
        h("label", { class: "inline to" }, "to", h("input", { name: "to", required: true, list: known.id, autocomplete: "off", placeholder: "+15017122661" })),
        known,
      ],
      submit: async ({ to, body, media }) => {
        const { outcome } = await api.post("/convoke/v1/Simulate/InboundMessages", { From: this.number, To: to, Body: body || null, MediaUrl: media || null });
        text.value = "";
        this.composer.elements.media.value = "";
        if (OUTCOMES[outcome]) announce(OUTCOMES[outcome]);
        const numbers = [...new Set(to.split(",").map((each) => each.trim()))].sort().join(", ");
        if (numbers !== this.thread) location.hash = phoneHref(this.number, numbers);
        await Promise.all([this.update(), this.closest("cv-phones").update()]);
        this.scrollToEnd();
      },
    });
  }
  /** Suggest the numbers of the account as receivers. If a request fails, suggest none: people can type any number. */
  async suggest(known) {
    const requests = [page("/convoke/v1/Senders", "senders"), page("/v1/Configuration/Addresses", "address_configurations")];
    const lists = await Promise.all(requests).catch(() => []);
    const addresses = new Set(lists.flatMap(({ items }) => items.map((each) => each.address)));
    fill(known, [...addresses].map((each) => h("option", { value: each })));
  }
}

customElements.define("cv-conversations", Conversations);
customElements.define("cv-conversation", Conversation);
customElements.define("cv-phones", Phones);
customElements.define("cv-phone", Phone);
