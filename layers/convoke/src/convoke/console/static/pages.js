// The frame of the console, the sign-in, and all views except the conversations and the phones.

import {
  ApiError, List, View, announce, api, ask, badge, button, cell, clock, collect, copyable, emptyState, facts, field, fill, form,
  h, head, keyed, link, live, onOneMachine, page, problem, pythonClient, resources, row, segment, serviceRoot, services,
  session, shortSid, simulatesPhones, snippet, time, valuesOf,
} from "./base.js";
import { conversationHref, conversationWebhooks } from "./conversations.js";

// Sign-in -------------------------------------------------------------------------------------------------------------

/** Check the credentials with a request, and store the credentials for this tab. */
async function signIn(user, password) {
  await api.get("/v1/Configuration", {}, { user: { user, password } });
  session.start(user, password);
}

/** Exchange the one-time code in a link to the console for an API key. */
async function signInWithCode(code) {
  const [AccountSid, Code] = code.split(".");
  const key = await api.post("/convoke/v1/ConsoleKeys", { AccountSid, Code }, { user: {} });
  session.start(key.sid, key.secret);
}

class SignIn extends HTMLElement {
  connectedCallback() {
    const fields = [
      field({ name: "user", label: "Account SID or API key SID", autocomplete: "username", required: true, pattern: " *(AC|SK)[0-9a-fA-F]{32} *", title: "AC or SK and 32 hexadecimal digits", spellcheck: "false" }),
      field({ name: "password", label: "Auth Token or API key secret", type: "password", autocomplete: "current-password", required: true }),
    ];
    const submit = async ({ user, password }) => {
      try {
        await signIn(user.trim(), password);
      } catch (error) {
        throw error.isNotAuthenticated ? new ApiError(401, { message: "The SID and the secret do not belong together." }) : error;
      }
      await this.done();
    };
    const hint = onOneMachine
      ? ["Or run ", h("code", {}, "convoke console"), ", which prints a link that signs you in."]
      : "The credentials stay in this tab and are forgotten when you close it.";
    fill(this, h("main", { class: "sign-in", id: "main" }, h("div", { class: "brand" }, logo(), "Convoke"), h("h1", { tabindex: -1 }, "Sign in"),
      this.message && h("p", { class: "notice", role: "status" }, this.message), form({ fields, submit, label: "Sign in" }), h("p", { class: "quiet" }, hint)));
    this.querySelector("input").focus();
  }
}

function logo() {
  const image = h("img", { src: new URL("icon.svg", import.meta.url).href, alt: "", width: 22, height: 22 });
  return image;
}

// Events --------------------------------------------------------------------------------------------------------------

const tone = (attempt) => {
  if (attempt.status === null) return attempt.error ? "bad" : "info";
  return attempt.status < 300 ? "good" : "bad";
};
const result = (attempt) => String(attempt.status ?? attempt.error ?? "no answer recorded");

/** Return a row for a delivery attempt. When the row is opened, the console fetches the request of the attempt. */
function attemptRow(event, attempt) {
  const cells = [
    cell("grow", h("strong", {}, shortSid(attempt.target)), " ", h("span", { class: "quiet" }, `${attempt.method} ${attempt.url}`)),
    attempt.replay_sid && badge("replay"),
    cell("", `attempt ${attempt.number}`),
    badge(result(attempt), tone(attempt)),
    cell("number", attempt.milliseconds === null ? "" : `${attempt.milliseconds} ms`),
    cell("when", time(attempt.started_at)),
  ];
  return row(cells, async () => {
    const { pathname } = new URL(attempt.links.request);
    const request = await api.get(pathname.slice(pathname.indexOf("/convoke/v1/")));
    const lines = [`${request.method} ${request.url}`, ...Object.entries(request.headers).map(([name, value]) => `${name}: ${value}`), "", request.body || ""];
    return [
      h("h3", {}, "Request"),
      h("p", { class: "quiet" }, "Made again from the event, and signed with the current Auth Token."),
      snippet(lines.join("\n").trimEnd()),
      h("h3", {}, "Answer"),
      attempt.answer ? snippet(attempt.answer) : h("p", { class: "quiet" }, attempt.error || "The answer has no body."),
      attempt.paused_until && h("p", {}, "Deliveries to this receiver were paused until ", time(attempt.paused_until), "."),
    ];
  }, "attempt");
}

async function replay(eventId, target) {
  const made = await api.post(`/convoke/v1/Events/${eventId}/Replay`, target ? { Target: target } : {});
  announce(made.targets.length ? `Sent again to ${made.targets.join(", ")}.` : "No webhook wants this event.");
}

async function eventBody(event) {
  const path = `/convoke/v1/Events/${event.id}/Attempts`;
  const attempts = h("div", { class: "rows" });
  const load = async () => {
    const { items } = await collect(path, "attempts", {}, 200);
    keyed(attempts, items, (each) => each.links.request, (each) => attemptRow(event, each));
    if (items.length) return;
    fill(attempts, h("p", { class: "quiet" }, event.webhooks ? "No webhook was called: none is configured for this event." : "No webhook was called: the request did not have X-Twilio-Webhook-Enabled: true."));
  };
  await load();
  const again = async () => {
    try {
      await replay(event.id);
      setTimeout(load, 700);
      setTimeout(load, 2500);
    } catch (error) {
      attempts.prepend(problem(error));
    }
  };
  const service = event.payload.ChatServiceSid;
  const to = service && event.conversation_sid && link(conversationHref(service, event.conversation_sid), "Open the conversation");
  return [
    h("div", { class: "section-head" }, h("h2", {}, "Webhook attempts"), to, button("Replay", again, "small"), button("Refresh", load, "small")),
    attempts,
    h("h2", {}, "Payload"),
    facts(Object.entries(event.payload).map(([name, value]) => [name, h("code", {}, value)])),
    h("p", { class: "quiet" }, "Event ", copyable(event.id)),
  ];
}

/** Return the most useful value of an event, for example the text, the member, the name or the new state. */
const subject = (payload) =>
  payload.Body || payload.Identity || payload["MessagingBinding.Address"] || payload.FriendlyName || payload.StateTo || payload.Status || (payload.Level && errorOf(payload)) || "";

function errorOf(payload) {
  const { error_code: code, more_info: info } = JSON.parse(payload.Payload);
  return `${code} ${info.Msg}`;
}

function eventRow(event) {
  const { payload } = event;
  const cells = [
    cell("when", time(event.occurred_at)),
    cell("type", event.event_type.replace("com.twilio.error-logs.", "").replace("com.convoke.", "")),
    cell("grow quiet", subject(payload)),
    cell("note", !event.webhooks && badge("no webhooks")),
    cell("sid", shortSid(event.conversation_sid || payload.UserSid || "")),
  ];
  return row(cells, () => eventBody(event));
}

class Timeline extends View {
  render() {
    const [conversation] = this.parameters;
    this.list = new List({
      path: "/convoke/v1/Events", key: "events", keyOf: (each) => each.id, render: eventRow,
      empty: () => emptyState("No events yet", "Everything that changes is listed here, with each attempt to call a webhook. Make something happen:",
        `${pythonClient()}client.conversations.v1.conversations.create(friendly_name="Hello", x_twilio_webhook_enabled="true")`),
    });
    this.filters = h("form", { class: "filters" },
      field({ name: "conversation", label: "Conversation", type: "search", placeholder: "SID (CH…)", value: conversation || "" }),
      field({ name: "from", label: "From", type: "date" }),
      field({ name: "to", label: "To", type: "date" }));
    this.filters.addEventListener("submit", (event) => event.preventDefault());
    this.filters.addEventListener("change", () => {
      this.filter();
      this.update();
    });
    this.filter();
    fill(this, head("Timeline"), this.filters, this.list.element);
  }
  filter() {
    const { conversation, from, to } = valuesOf(this.filters);
    this.list.query = { ConversationSid: conversation.trim() || null, StartDate: from || null, EndDate: to || null };
  }
  refresh() {
    return this.list.load();
  }
}

// The error log -------------------------------------------------------------------------------------------------------

const LEVELS = [["", "All levels"], ["error", "Error"], ["warning", "Warning"], ["notice", "Notice"], ["debug", "Debug"]];

async function alertBody(sid) {
  const alert = await api.get(`/convoke/v1/Alerts/${sid}`);
  const to = alert.service_sid && alert.conversation_sid && link(conversationHref(alert.service_sid, alert.conversation_sid), "Open the conversation");
  const again = async () => {
    try {
      await replay(alert.event_id, alert.target);
    } catch (error) {
      actions.append(problem(error));
    }
  };
  const actions = h("div", { class: "section-head" }, to, alert.event_id && button("Send again", again, "small"));
  return [
    actions,
    h("p", {}, alert.text),
    alert.causes.length > 0 && h("ul", { class: "outcomes" }, alert.causes.map((cause) => h("li", {},
      h("span", { class: "name" }, cause.participant_sid ? shortSid(cause.participant_sid) : "Every member"), h("p", {}, h("strong", {}, cause.code), ` ${cause.message}`)))),
    facts([
      ["Conversation", alert.conversation_sid && copyable(alert.conversation_sid)],
      ["Event", alert.event_id && copyable(alert.event_id)],
      ["Webhook", alert.target],
      ["Request", alert.request_url && `${alert.request_method} ${alert.request_url}`],
      ["Status", alert.response_status],
      ["Answer", alert.response_body && h("code", {}, alert.response_body)],
      ["Alert", copyable(alert.sid)],
    ]),
    alert.more_info.startsWith("https://") && h("a", { href: alert.more_info, target: "_blank", rel: "noreferrer" }, `What ${alert.code} means`),
  ];
}

class ErrorLog extends View {
  render() {
    this.list = new List({
      path: "/v1/Alerts", key: "alerts", keyOf: (each) => each.sid, render: (each) => this.row(each),
      empty: () => emptyState("No errors", "Failures that happen after a response are listed here: members that could not be added, and webhooks that were given up."),
    });
    this.filters = h("form", { class: "filters" },
      field({ name: "level", label: "Level", options: LEVELS }),
      field({ name: "from", label: "From", type: "date" }),
      field({ name: "to", label: "To", type: "date" }));
    this.filters.addEventListener("change", () => this.update());
    this.single = h("div", {});
    fill(this, head("Error log"), this.single, this.filters, this.list.element);
    const [sid] = this.parameters;
    if (sid) this.showSingle(sid);
  }
  async showSingle(sid) {
    try {
      fill(this.single, h("div", { class: "card" }, await alertBody(sid)));
    } catch (error) {
      fill(this.single, problem(error));
    }
  }
  row(alert) {
    const cells = [
      cell("when", time(alert.date_created)),
      badge(alert.error_code, alert.log_level === "error" ? "bad" : "warn"),
      cell("grow", alert.alert_text.replace(/^\d+: /, "")),
      cell("sid", shortSid(alert.resource_sid)),
    ];
    return row(cells, () => alertBody(alert.sid));
  }
  refresh() {
    const { level, from, to } = valuesOf(this.filters);
    this.list.query = { LogLevel: level || null, StartDate: from || null, EndDate: to || null };
    return this.list.load();
  }
}

// Webhooks ------------------------------------------------------------------------------------------------------------

const EVENTS = ["Conversation", "Participant", "Message", "User"].flatMap((each) => {
  const verbs = each === "User" ? ["Added", "Update", "Updated"] : ["Add", "Added", "Update", "Updated", "Remove", "Removed"];
  return verbs.map((verb) => `on${each}${verb}`);
}).concat("onConversationStateUpdated", "onDeliveryUpdated").sort();
const isPreEvent = (name) => /(Add|Update|Remove)$/.test(name);
const RECENT_EVENTS = 50;

/** Return the form for the webhook configuration of the account or a service. */
async function webhookSettings(path) {
  const settings = await api.get(path);
  const chosen = new Set(settings.filters || []);
  const boxes = (title, names) => h("fieldset", {}, h("legend", {}, title), h("div", { class: "boxes" },
    names.map((name) => h("label", { class: "inline" }, h("input", { type: "checkbox", name: `filter ${name}`, checked: chosen.has(name) }), name))));
  return form({
    label: "Save",
    fields: [
      h("div", { class: "columns" },
        field({ name: "PostWebhookUrl", label: "After a change, call (post-webhook URL)", type: "url", value: settings.post_webhook_url || "" }),
        field({ name: "PreWebhookUrl", label: "Before a change, ask (pre-webhook URL)", type: "url", value: settings.pre_webhook_url || "" }),
        field({ name: "Method", label: "Method", options: [["POST", "POST"], ["GET", "GET"]], value: settings.method })),
      boxes("Post-events", EVENTS.filter((name) => !isPreEvent(name))),
      boxes("Pre-events", EVENTS.filter(isPreEvent)),
    ],
    submit: async (values) => {
      const { PostWebhookUrl, PreWebhookUrl, Method } = values;
      const Filters = EVENTS.filter((name) => values[`filter ${name}`]);
      await api.post(path, { PostWebhookUrl, PreWebhookUrl, Method, Filters });
      announce("Saved.");
    },
  });
}

async function errorLogSettings() {
  const path = "/convoke/v1/Configuration";
  const settings = await api.get(path);
  return form({
    label: "Save",
    fields: [field({ name: "ErrorLogUrl", label: "Error-log URL", type: "url", value: settings.error_log_url || "", hint: "Each alert is posted to this URL." })],
    submit: async (values) => {
      await api.post(path, values);
      announce("Saved.");
    },
  });
}

/** Return a summary of the delivery attempts of the last events, with one line for each receiver. */
async function receivers() {
  const { items } = await page("/convoke/v1/Events", "events", { PageSize: RECENT_EVENTS });
  const read = async (event) => (await page(`/convoke/v1/Events/${event.id}/Attempts`, "attempts")).items;
  const attempts = (await Promise.all(items.map(read))).flat();
  const byUrl = Map.groupBy(attempts, (each) => `${each.target} ${each.url}`);
  if (!byUrl.size) return h("p", { class: "quiet" }, `The last ${items.length} events called no webhook.`);
  const line = ([name, those]) => {
    const delivered = those.filter((each) => each.status !== null && each.status < 300).length;
    const durations = those.map((each) => each.milliseconds).filter((each) => each !== null).sort((a, b) => a - b);
    const share = Math.round((delivered / those.length) * 100);
    return h("tr", {}, h("td", {}, shortSid(name.split(" ")[0])), h("td", {}, name.slice(name.indexOf(" ") + 1)), h("td", { class: "number" }, those.length),
      h("td", {}, badge(`${share} %`, share === 100 ? "good" : share ? "warn" : "bad")),
      h("td", { class: "number" }, durations.length ? `${durations[Math.floor(durations.length / 2)]} ms` : "–"));
  };
  const columns = ["Webhook", "URL", "Attempts", "Accepted", "Median"];
  return h("div", { class: "scroll-x", tabindex: 0, role: "region", "aria-label": "Receivers" }, h("table", {},
    h("thead", {}, h("tr", {}, columns.map((name) => h("th", { scope: "col", class: name === "Attempts" || name === "Median" ? "number" : null }, name)))), h("tbody", {}, [...byUrl].map(line))));
}

const USUAL_MISTAKES = [
  "The URL is not the one that Convoke called: http instead of https behind a proxy, another host, a missing port.",
  "The query string was decoded, reordered or left out.",
  "The body was parsed and encoded again. + means a space, and empty parameters count.",
  "The secret of an API key was used. Only the Auth Token signs.",
];

function signatureChecker() {
  const outcome = h("div", { role: "status" });
  return [
    form({
      label: "Check",
      fields: [
        field({ name: "Url", label: "URL as the receiver saw it, with its query string", type: "url", required: true }),
        field({ name: "Signature", label: "X-Twilio-Signature", required: true }),
        field({ name: "Body", label: "Body as it arrived (empty for GET)", type: "textarea" }),
      ],
      submit: async (values) => {
        const { matches, mistakes } = await api.post("/convoke/v1/SignatureChecks", values);
        const found = mistakes?.length ? mistakes : USUAL_MISTAKES;
        fill(outcome, matches ? badge("The signature matches.", "good") : [
          badge("The signature does not match.", "bad"),
          h("p", {}, mistakes?.length ? "This explains the difference:" : "No usual mistake explains the difference. Check these:"),
          h("ul", {}, found.map((each) => h("li", {}, each))),
        ]);
      },
    }),
    outcome,
  ];
}

class Webhooks extends View {
  render() {
    this.level = field({ name: "level", label: "Level", options: [["account", "Account"], ...services.all.map((each) => [each.sid, `Service: ${each.friendly_name}`]), ["conversation", "A conversation"]] });
    this.conversation = field({ name: "conversation", label: "Conversation", placeholder: "SID or unique name" });
    this.conversation.hidden = true;
    this.filters = h("form", { class: "filters" }, this.level, this.conversation);
    this.filters.addEventListener("submit", (event) => event.preventDefault());
    this.filters.addEventListener("change", () => this.showSettings());
    this.settings = h("div", {});
    this.receivers = h("div", {}, button(`Compute from the last ${RECENT_EVENTS} events`, () => this.show(this.receivers, receivers)));
    this.errorLog = h("div", {});
    fill(this, head("Webhooks"),
      h("section", { class: "card" }, h("h2", {}, "Configuration"), this.filters, this.settings),
      h("section", { class: "card" }, h("h2", {}, "Receivers"), this.receivers),
      h("section", { class: "card" }, h("h2", {}, "Signature checker"), signatureChecker()),
      h("section", { class: "card" }, h("h2", {}, "Error log"), this.errorLog));
    this.showSettings();
    this.show(this.errorLog, errorLogSettings);
  }
  /** Show the result of `load`. Hide the old content during `load`, because it can be the form of another service. */
  async show(element, load) {
    const current = (element.current = {});
    fill(element, h("p", { class: "quiet" }, "Loading…"));
    const content = await load().catch(problem);
    if (element.current === current) fill(element, content);
  }
  showSettings() {
    const { level, conversation } = valuesOf(this.filters);
    this.conversation.hidden = level !== "conversation";
    if (level === "account") return this.show(this.settings, () => webhookSettings("/v1/Configuration/Webhooks"));
    if (level !== "conversation") return this.show(this.settings, () => webhookSettings(`${serviceRoot(level)}/Configuration/Webhooks`));
    if (!conversation.trim()) return fill(this.settings, h("p", { class: "quiet" }, "Name a conversation of the default service. The page of a conversation shows its webhooks, too."));
    return this.show(this.settings, () => conversationWebhooks(`/v1/Conversations/${segment(conversation.trim())}`));
  }
}

// Requests ------------------------------------------------------------------------------------------------------------

/** Return an element that hides text that people wrote. A click on the button shows the text. */
function masked(text) {
  const shown = h("div", { class: "masked" }, h("span", { "aria-hidden": "true" }, "••••••••"), button("Show", () => fill(shown, h("code", {}, text)), "small"));
  return shown;
}

/** Split a form into lines, with one line for each field. Return a JSON text unchanged. */
function readable(form) {
  if (form.startsWith("{")) return form;
  return [...new URLSearchParams(form)].map(([name, value]) => `${name} = ${value}`).join("\n");
}

const REQUEST_POLL_MILLISECONDS = 2000;

class Requests extends View {
  render() {
    this.items = [];
    this.rows = h("div", { class: "rows" });
    this.nothing = h("div");
    this.filters = h("form", { class: "filters" },
      field({ name: "show", label: "Show", options: [["", "All requests"], ["errors", "Errors"], ["changes", "Changes"]] }));
    this.filters.addEventListener("change", () => this.showRows());
    fill(this, head("Requests"), h("p", { class: "quiet" }, "The last 1,000 requests to this process, without what this page itself reads. They are in memory only."),
      this.filters, h("div", { class: "list" }, this.rows, this.nothing));
  }
  connectedCallback() {
    super.connectedCallback();
    this.timer = setInterval(() => document.hidden || this.update(), REQUEST_POLL_MILLISECONDS);
  }
  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.timer);
  }
  async refresh() {
    const { requests } = await api.get("/convoke/v1/Requests", { After: this.items[0]?.number || 0 });
    this.items = [...requests, ...this.items].slice(0, 1000);
    if (requests.length || !this.items.length) this.showRows();
  }
  showRows() {
    const { show } = valuesOf(this.filters);
    const wanted = { "": () => true, errors: (each) => each.status >= 400, changes: (each) => each.method !== "GET" }[show];
    const items = this.items.filter(wanted);
    keyed(this.rows, items, (each) => each.number, (each) => this.row(each));
    fill(this.nothing, !items.length && emptyState("No requests yet", "Send one:", `curl -u "$CONVOKE_ACCOUNT_SID:$CONVOKE_AUTH_TOKEN" ${new URL("../../v1/Conversations", import.meta.url)}`));
  }
  row(request) {
    const { method, route, status, code, milliseconds } = request;
    const cells = [
      cell("when", time(request.date_created)),
      cell("method", method),
      cell("grow", route || h("em", {}, "no route")),
      badge(String(status), status < 400 ? "good" : "bad"),
      cell("number", code),
      cell("number", `${milliseconds} ms`),
    ];
    return row(cells, async () => [
      facts([
        ["Path", masked(request.path)],
        ["Query", request.query && masked(request.query)],
        ["Form", request.form && masked(readable(request.form))],
        ["Error", code && h("a", { href: `https://www.twilio.com/docs/api/errors/${code}`, target: "_blank", rel: "noreferrer" }, `What ${code} means`)],
      ]),
    ]);
  }
}

// Tables --------------------------------------------------------------------------------------------------------------

/** Give a button a name that is unique on the page, for screen readers. */
const named = (element, name) => {
  element.setAttribute("aria-label", name);
  return element;
};

const sidColumn = ["SID", (each) => copyable(each.sid, shortSid(each.sid))];
const createdColumn = ["Created", (each) => time(each.date_created)];

const SENDERS = "/convoke/v1/Senders";

/** Return the fields for the credentials of a sender at Twilio. The API never returns these credentials. */
const twilioFields = (hint) => [
  field({ name: "Twilio.AccountSid", label: "Account SID at Twilio", autocomplete: "off", spellcheck: "false", hint }),
  field({ name: "Twilio.AuthToken", label: "Auth Token at Twilio", type: "password", autocomplete: "off" }),
];

/** Return the field for the limit of a sender. */
const limitField = (limit) => field({
  name: "MaxMessagesPerSecond", label: "Messages per second", inputmode: "numeric", autocomplete: "off", value: limit || "",
  hint: "The maximum that the carrier permits. Empty: no maximum.",
});

/** Return the values of a form that are not empty. */
const given = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value));

function createSender(table) {
  const twilio = h("div", { class: "form" }, twilioFields());
  const options = [simulatesPhones && ["simulated", "Simulated"], ["twilio", "Twilio"]].filter(Boolean);
  const provider = field({ name: "Provider", label: "Provider", options });
  const show = () => (twilio.hidden = provider.querySelector("select").value !== "twilio");
  provider.addEventListener("change", show);
  show();
  ask({
    title: "New sender", label: "Create",
    text: "The carrier that delivers the messages of a business number. The operator assigns senders of AWS.",
    fields: [
      field({ name: "Address", label: "Address", required: true, placeholder: "+15017122661", hint: "A number, or whatsapp: and a number." }),
      field({ name: "FriendlyName", label: "Name" }), limitField(), provider, twilio,
    ],
    submit: async (values) => {
      await api.post(SENDERS, given(values));
      await table.update();
    },
  });
}

function editSender(sender, table) {
  const isAssigned = sender.provider === "aws";
  ask({
    title: `Edit ${sender.address}`, label: "Save",
    text: isAssigned && "Only the operator can change the messages per second of this sender.",
    fields: [
      field({ name: "FriendlyName", label: "Name", value: sender.friendly_name || "" }),
      !isAssigned && limitField(sender.max_messages_per_second),
      sender.provider === "twilio" && twilioFields("Empty: the stored credentials stay."),
    ],
    submit: async (values) => {
      const { "Twilio.AccountSid": sid, "Twilio.AuthToken": token, ...others } = values;
      await api.post(`${SENDERS}/${sender.sid}`, { ...others, ...given({ "Twilio.AccountSid": sid, "Twilio.AuthToken": token }) });
      await table.update();
    },
  });
}

function deleteSender(sender, table) {
  const after = simulatesPhones ? "The number is simulated again." : "Copies from this number then fail with 21703.";
  const lost = { twilio: " The stored credentials are deleted.", aws: " Only the operator can assign the number again." }[sender.provider] || "";
  ask({
    title: `Delete the sender of ${sender.address}?`, label: "Delete", danger: true,
    text: `${after} Any account can then use it.${lost}`,
    submit: async () => {
      await api.delete(`${SENDERS}/${sender.sid}`);
      await table.update();
    },
  });
}

/** The resources that the view `cv-table` can show. The navigation omits resources that the engine does not serve. */
const TABLES = {
  Services: {
    path: () => "/v1/Services", key: "services",
    columns: [["Name", (each) => each.friendly_name], sidColumn, createdColumn, ["", (each) => link(`#/conversations/${each.sid}`, "Conversations")]],
  },
  Users: {
    path: () => `${serviceRoot(services.defaultSid)}/Users`, key: "users",
    columns: [["Identity", (each) => each.identity], ["Name", (each) => each.friendly_name], sidColumn, createdColumn],
  },
  Roles: {
    path: () => `${serviceRoot(services.defaultSid)}/Roles`, key: "roles",
    columns: [["Name", (each) => each.friendly_name], ["Type", (each) => each.type], ["Permissions", (each) => each.permissions.length], sidColumn],
  },
  Addresses: {
    path: () => "/v1/Configuration/Addresses", key: "address_configurations",
    columns: [["Address", (each) => each.address], ["Type", (each) => each.type], ["Name", (each) => each.friendly_name], sidColumn, createdColumn],
  },
  Senders: {
    path: () => SENDERS, key: "senders", create: createSender,
    empty: () => emptyState("No senders", simulatesPhones
      ? "Every number without a sender is simulated. Create a sender to connect a number to a carrier, or to keep it for this account."
      : "Copies from a number without a sender fail with 21703. Create a sender, or ask the operator to assign one."),
    columns: [
      ["Address", (each) => each.address], ["Provider", (each) => badge(each.provider, each.provider === "simulated" ? "neutral" : "info")],
      !simulatesPhones && ["At AWS", (each) => each.origination_identity && copyable(each.origination_identity, each.origination_identity.split("/").at(-1))],
      ["Name", (each) => each.friendly_name], ["Per second", (each) => each.max_messages_per_second || "no maximum"], sidColumn, createdColumn,
      ["", (each, table) => h("div", { class: "actions" }, named(button("Edit", () => editSender(each, table), "small"), `Edit ${each.address}`),
        named(button("Delete", () => deleteSender(each, table), "small danger-quiet"), `Delete ${each.address}`))],
    ].filter(Boolean),
  },
  Keys: {
    title: "API keys", path: () => "/convoke/v1/Keys", key: "keys",
    columns: [["Name", (each) => each.friendly_name], sidColumn, createdColumn, ["Expires", (each) => each.date_expires ? time(each.date_expires) : "never"]],
  },
};

class Table extends View {
  render() {
    const [name] = this.parameters;
    this.table = TABLES[name];
    this.body = h("tbody", {});
    const columns = this.table.columns.map(([title]) => title ? h("th", { scope: "col" }, title) : h("td", {}));
    const title = this.table.title || name;
    const { create } = this.table;
    this.list = new List({
      path: this.table.path(), key: this.table.key, keyOf: (each) => each.sid,
      render: (each) => h("tr", {}, this.table.columns.map(([, value]) => h("td", {}, value(each, this)))),
      empty: this.table.empty || (() => emptyState(`No ${title} yet`, "They are listed here when they exist.")),
    });
    this.list.rows = this.body;
    const table = h("table", {}, h("thead", {}, h("tr", {}, columns)), this.body);
    fill(this, head(title, create && button("New", () => create(this), "primary")), h("div", { class: "card scroll-x", tabindex: 0, role: "region", "aria-label": title }, table, this.list.nothing), this.list.more);
  }
  refresh() {
    return this.list.load();
  }
}

// The clock -----------------------------------------------------------------------------------------------------------

const STEPS = [["+1 minute", "PT1M"], ["+1 hour", "PT1H"], ["+1 day", "P1D"]];

class Clock extends View {
  render() {
    fill(this, head("Clock"));
    if (!resources.has("Clock")) {
      this.append(emptyState("The clock cannot be moved", "Start Convoke with a movable clock to see timers run out without waiting:", "convoke up --test-clock"));
      return;
    }
    this.face = h("p", { class: "face" });
    this.outcome = h("p", { class: "quiet", role: "status" });
    this.faults = h("div", {});
    const steps = STEPS.map(([label, step]) => button(label, () => this.advance(step)));
    this.append(h("section", { class: "card" }, this.face, h("div", { class: "actions" }, steps), this.outcome, this.faults,
      h("p", { class: "quiet" }, "The clock stops at each due time, so that every timer and every retry runs at its time. It cannot be moved back.")));
    this.timer = setInterval(() => this.tick(), 250);
    this.tick();
  }
  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.timer);
  }
  tick() {
    this.face.textContent = clock.now().toLocaleString(undefined, { dateStyle: "full", timeStyle: "medium" });
  }
  async advance(step) {
    try {
      const result = await api.post("/convoke/v1/Clock", { Advance: step });
      clock.set(result.now);
      this.tick();
      fill(this.faults);
      this.outcome.textContent = `Moved by ${result.advanced}. Conversations that became due: ${result.conversations}.`;
      live.check();
    } catch (error) {
      fill(this.faults, problem(error));
    }
  }
}

// The frame -----------------------------------------------------------------------------------------------------------

const VIEWS = { conversations: "cv-conversations", phones: "cv-phones", timeline: "cv-timeline", errors: "cv-errors", webhooks: "cv-webhooks", requests: "cv-requests", table: "cv-table", clock: "cv-clock" };

const NAVIGATION = [
  ["#/conversations", "Conversations"],
  ["#/phones", "Phones"],
  ["#/timeline", "Timeline"],
  ["#/errors", "Error log"],
  ["#/webhooks", "Webhooks"],
  onOneMachine && ["#/requests", "Requests"],
  onOneMachine && ["#/clock", "Clock"],
  ...Object.entries(TABLES).map(([name, { title }]) => resources.has(name) && [`#/table/${name}`, title || name]),
].filter(Boolean);

const CODE = "#code=";

class Console extends HTMLElement {
  connectedCallback() {
    this.status = h("div", { class: "toast", role: "status" });
    window.addEventListener("announce", ({ detail }) => this.say(detail));
    window.addEventListener("signed-out", ({ detail }) => this.signOut(detail));
    window.addEventListener("live", ({ detail }) => this.dot && this.showLive(detail));
    window.addEventListener("hashchange", () => (location.hash.startsWith(CODE) ? this.enter() : this.route()));
    this.enter();
  }
  /** Sign in with the code in the URL. If the URL has no code, continue the session of this tab. */
  async enter() {
    const { hash } = location;
    if (hash.startsWith(CODE)) {
      // Remove the one-time code from the browser history.
      history.replaceState(null, "", "#/conversations");
      try {
        await signInWithCode(hash.slice(CODE.length));
      } catch (error) {
        this.signOut(error.isNotAuthenticated ? "The link was used before, or is older than ten minutes. Run convoke console for a fresh link." : error.message);
        return;
      }
    }
    if (session.get()) await this.start();
    else this.signOut();
  }
  say(text) {
    this.status.textContent = text;
    clearTimeout(this.saying);
    this.saying = setTimeout(() => (this.status.textContent = ""), 4000);
  }
  signOut(message) {
    session.end();
    const view = Object.assign(document.createElement("cv-sign-in"), { message, done: () => this.start() });
    this.view = this.main = null;
    fill(this, view, this.status);
    document.title = "Sign in – Convoke";
  }
  async start() {
    try {
      await Promise.all([services.load(), clock.load()]);
    } catch (error) {
      if (session.get()) this.signOut(error.message);
      return;
    }
    this.main = h("main", { id: "main", tabindex: -1 });
    this.dot = h("span", { class: "dot" });
    this.links = NAVIGATION.map(([href, text]) => link(href, text));
    const tables = this.links.findIndex((each) => each.hash.startsWith("#/table/"));
    const account = services.accountSid;
    fill(this,
      h("a", { class: "skip", href: "#main", onclick: (event) => { event.preventDefault(); this.main.focus(); } }, "Skip to the content"),
      h("nav", { "aria-label": "Console" },
        h("div", { class: "brand" }, logo(), "Convoke", this.dot),
        h("div", { class: "links" }, this.links.slice(0, tables), h("hr", {}), this.links.slice(tables)),
        h("div", { class: "account" }, copyable(account, shortSid(account)), button("Sign out", () => this.signOut("You are signed out."), "small"))),
      this.main, this.status);
    live.start();
    this.route();
  }
  showLive(isLive) {
    this.dot.className = `dot ${isLive ? "on" : "off"}`;
    this.dot.title = isLive ? "Updates by itself" : "The server does not answer";
  }
  /** Show the view in the URL. If only the conversation or the phone changes, keep the list of conversations or phones. */
  route() {
    if (!this.main) return;
    const [name, ...parameters] = location.hash.replace(/^#\//, "").split("/");
    const tag = VIEWS[name];
    if (!tag || (name === "table" && !TABLES[parameters[0]])) {
      location.replace("#/conversations");
      return;
    }
    const [service, sid] = parameters;
    if (this.view?.localName !== tag || !this.view.navigate?.(parameters)) {
      this.view = Object.assign(document.createElement(tag), { parameters, service: name === "conversations" ? service : undefined, sid });
      fill(this.main, this.view);
    }
    for (const each of this.links) {
      const href = each.getAttribute("href");
      const current = location.hash === href || location.hash.startsWith(`${href}/`);
      if (current) each.setAttribute("aria-current", "page");
      else each.removeAttribute("aria-current");
    }
    const title = this.main.querySelector("h1");
    title?.focus({ preventScroll: true });
    document.title = `${NAVIGATION.find(([href]) => location.hash.startsWith(href))?.[1] || "Console"} – Convoke`;
  }
}

customElements.define("cv-sign-in", SignIn);
customElements.define("cv-timeline", Timeline);
customElements.define("cv-errors", ErrorLog);
customElements.define("cv-webhooks", Webhooks);
customElements.define("cv-requests", Requests);
customElements.define("cv-table", Table);
customElements.define("cv-clock", Clock);
customElements.define("cv-console", Console);
