// The conversations of a service: the list, and one conversation with its thread, members, timers and provisioning.

import {
  List, View, announce, api, ask, badge, button, cell, collect, convokeServiceRoot, copyable, countdown, emptyState, facts,
  field, fill, form, h, head, keyed, link, page, problem, pythonClient, segment, serviceRoot, services, shortSid, stateBadge,
  time, valuesOf,
} from "./base.js";

const MESSAGES_PER_PAGE = 50;
const EARLIEST = "1970-01-01";

export const conversationHref = (service, sid) => `#/conversations/${service}/${sid}`;
export const nameOf = (conversation) => conversation.friendly_name || conversation.unique_name || shortSid(conversation.sid);
export const memberName = (member) =>
  member.identity || member.messaging_binding?.address || member.messaging_binding?.projected_address || shortSid(member.sid);

/** The name that a member's messages have as author. In a group MMS, this can be the projected address. */
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
    date_updated: each.conversation_date_updated,
  }));
}

class Conversations extends View {
  render() {
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
    if (element.sid === this.sid) element.setAttribute("aria-current", "page");
    else element.removeAttribute("aria-current");
  }
  filter() {
    const { service, search, state, from, to } = valuesOf(this.filters);
    if (service && service !== this.service) location.hash = `#/conversations/${service}`;
    // Always send a start date. The newest conversation comes first only with a date filter.
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
        h("span", {}, conversation.friendly_name && conversation.unique_name ? conversation.unique_name : shortSid(conversation.sid)),
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

// One conversation ----------------------------------------------------------------------------------------------------

class Conversation extends View {
  get root() {
    return `${serviceRoot(this.service)}/Conversations/${segment(this.sid)}`;
  }
  render() {
    this.wanted = MESSAGES_PER_PAGE;
    this.top = h("header", { class: "head conversation" });
    this.messages = h("ol", { class: "messages", "aria-label": "Messages", tabindex: 0 });
    this.earlier = button("Load earlier messages", () => this.loadEarlier(), "small");
    this.earlier.hidden = true;
    this.nothing = h("div");
    this.composer = this.makeComposer();
    this.members = h("ul", { class: "members" });
    this.timers = h("div", {});
    this.about = h("div", {});
    const side = h("aside", { "aria-label": "About this conversation" },
      h("section", {}, h("div", { class: "section-head" }, h("h2", {}, "Members"), this.addButton = button("Add", () => this.addMember(), "small")), this.members),
      h("section", {}, h("h2", {}, "Timers"), this.timers),
      this.lazySection("Provisioning", () => this.provisioning()),
      this.lazySection("Webhooks", () => conversationWebhooks(this.root)),
      h("section", {}, h("h2", {}, "About"), this.about));
    fill(this, this.top, h("div", { class: "panes" },
      h("section", { class: "thread", "aria-label": "Thread" }, h("div", { class: "scroll" }, this.earlier, this.nothing, this.messages), this.composer),
      side));
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
    for (const control of this.composer.elements) control.disabled = !isOpen;
    this.addButton.hidden = !isOpen;
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
    const scroller = this.messages.parentElement;
    const atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 40;
    keyed(this.messages, items.toReversed(), (each) => each.sid, (each) => this.message(each));
    this.earlier.hidden = !next;
    this.markOwn();
    const isClosed = this.conversation.state === "closed";
    fill(this.nothing, !items.length && emptyState("No messages", isClosed ? "The conversation is closed." : "Write the first one as any member."));
    if (atEnd) scroller.scrollTop = scroller.scrollHeight;
  }
  message(message) {
    const copies = message.delivery && this.copies(message);
    const content = message.body ?? (message.media ? `Media ${message.media.map((each) => each.sid).join(", ")}` : `Content ${message.content_sid}`);
    const element = h("li", { class: "message" }, avatar(message.author), h("div", { class: "bubble" },
      h("div", { class: "meta" }, h("strong", {}, message.author), time(message.date_created), h("span", { class: "quiet" }, `#${message.index}`)),
      h("p", { class: "text" }, content), copies));
    element.author = message.author;
    return element;
  }
  /** Return a list of a message's copies to members without chat. The receipts are fetched when the list is opened. */
  copies(message) {
    const { total } = message.delivery;
    const word = ["failed", "undelivered", "read", "delivered", "sent"].find((each) => message.delivery[each] !== "none");
    const body = h("ul", { class: "copies" });
    const details = h("details", {}, h("summary", {}, `${total} ${total === 1 ? "copy" : "copies"} ${word || "queued"}`), body);
    details.addEventListener("toggle", async () => {
      if (!details.open) return;
      const { items } = await page(`${this.root}/Messages/${message.sid}/Receipts`, "delivery_receipts");
      fill(body, items.map((receipt) => {
        const member = this.participants.find((each) => each.sid === receipt.participant_sid);
        return h("li", {}, h("span", {}, `To ${member ? memberName(member) : shortSid(receipt.participant_sid)}`), badge(receipt.status || "queued"),
          receipt.error_code ? badge(String(receipt.error_code), "bad") : null, copyable(receipt.channel_message_sid, shortSid(receipt.channel_message_sid)));
      }));
    });
    return details;
  }
  /** Show the messages of the selected author on the right side. */
  markOwn() {
    const own = this.composer.elements.author.value;
    for (const each of this.messages.children) each.classList.toggle("own", each.author === own);
  }
  async loadEarlier() {
    this.wanted += MESSAGES_PER_PAGE;
    await this.update();
  }
  makeComposer() {
    const text = h("textarea", { name: "body", rows: 2, "aria-label": "Message", placeholder: "Write a message…", required: true });
    const author = h("select", { name: "author", id: "author" });
    const composer = form({
      fields: [text],
      label: "Send",
      extra: [h("label", { for: "author" }, "as"), author, h("label", { class: "inline" }, h("input", { type: "checkbox", name: "webhooks", checked: true }), "Send webhooks")],
      submit: async ({ author, body, webhooks }) => {
        await api.post(`${this.root}/Messages`, { Author: author, Body: body }, { webhooks });
        text.value = "";
        await this.update();
        this.messages.parentElement.scrollTop = this.messages.parentElement.scrollHeight;
      },
    });
    composer.classList.add("composer");
    author.addEventListener("change", () => this.markOwn());
    text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        composer.requestSubmit();
      }
    });
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

customElements.define("cv-conversations", Conversations);
customElements.define("cv-conversation", Conversation);
