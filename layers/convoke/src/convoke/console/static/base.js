// The parts that all views of the console share: the session, the API client, the DOM helpers and the elements.
//
// Names, bodies and addresses are untrusted text. `h` adds this text to the page only as text nodes and attributes. No
// module uses innerHTML, and the Content-Security-Policy of the page also blocks innerHTML.

const settings = document.documentElement.dataset;
const API_ROOT = new URL("../..", import.meta.url);
/** The base URL of the API, without a slash at the end. */
export const apiUrl = API_ROOT.href.replace(/\/$/, "");
const SESSION = "convoke-session";

/** The names of the resources that this engine serves, such as `Clock`. */
export const resources = new Set((settings.resources || "").split(" "));
/** Whether this is the embedded engine. Only the embedded engine serves the request log and the clock. */
export const onOneMachine = resources.has("Requests");
/** Whether the engine simulates phones. On AWS, carriers deliver messages to real phones. */
export const simulatesPhones = resources.has("Phones");

// The session ---------------------------------------------------------------------------------------------------------

/** The credentials. They are in the session storage of this tab, and never in a cookie. */
export const session = {
  get() {
    return JSON.parse(sessionStorage.getItem(SESSION) || "null");
  },
  start(user, password) {
    sessionStorage.setItem(SESSION, JSON.stringify({ user, password }));
  },
  end() {
    sessionStorage.removeItem(SESSION);
    live.stop();
  },
};

// The API client ------------------------------------------------------------------------------------------------------

/** The code of the error if the credentials are not valid. A 401 of a proxy does not have this code. */
const NOT_AUTHENTICATED = 20003;

/** An error response, or no response. `code` is the error code of the API, or 0 without an error code. */
export class ApiError extends Error {
  constructor(status, body) {
    super(body.message || "The server sent no error message.");
    this.status = status;
    this.code = body.code || 0;
    this.moreInfo = body.more_info || "";
  }

  /** Whether Convoke has refused the credentials. */
  get isNotAuthenticated() {
    return this.code === NOT_AUTHENTICATED;
  }
}

function encoded(fields) {
  const pairs = Object.entries(fields).flatMap(([name, value]) => [value].flat().map((each) => [name, each]));
  return new URLSearchParams(pairs.filter(([, value]) => value !== null && value !== undefined));
}

/** Send a request. With `credentials: "omit"`, the browser does not show its own login box after a 401. */
async function send(method, path, { query = {}, form, webhooks, user } = {}) {
  const headers = {};
  const { user: name, password } = user || session.get() || {};
  if (name) headers.Authorization = `Basic ${btoa(`${name}:${password}`)}`;
  if (webhooks) headers["X-Twilio-Webhook-Enabled"] = "true";
  const url = new URL(path.replace(/^\//, ""), API_ROOT);
  url.search = encoded(query);
  let response;
  try {
    response = await fetch(url, {
      method,
      headers,
      body: form ? encoded(form) : undefined,
      credentials: "omit",
      cache: "no-store",
    });
  } catch {
    throw new ApiError(0, { message: "The server does not answer. Is it running?" });
  }
  const body = parsed(await response.text());
  if (response.ok && body) return body;
  if (body?.code === NOT_AUTHENTICATED && !user && session.get()) {
    session.end();
    window.dispatchEvent(new CustomEvent("signed-out", { detail: "Your sign-in has ended. Sign in again." }));
  }
  const foreign = "The answer does not come from Convoke. Is a proxy in front of the server?";
  throw new ApiError(response.status, body || { message: foreign });
}

/** Return the JSON in a response body, or null if the text is not JSON. An empty text is an empty object. */
function parsed(text) {
  try {
    return text ? JSON.parse(text) : {};
  } catch {
    return null;
  }
}

export const api = {
  get: (path, query, options) => send("GET", path, { query, ...options }),
  post: (path, form, options) => send("POST", path, { form, ...options }),
  delete: (path, options) => send("DELETE", path, options),
};

/** Return a page of a list. `items` are the resources. `next` is a function that fetches the next page, or null. */
export async function page(path, key, query = {}) {
  const body = await api.get(path, query);
  const next = body.meta.next_page_url;
  // Use only the query of the URL. Behind a proxy, the URL from the server may contain a host that is not reachable.
  const following = next && Object.fromEntries(new URL(next).searchParams);
  return { items: body[key], next: following && (() => page(path, key, following)) };
}

/** The maximum number of pages that `collect` reads. With a filter that few resources match, it would read all pages. */
const MAX_PAGES = 10;

/** Return the first resources of a list. Stop after `enough` resources, or after MAX_PAGES pages. */
export async function collect(path, key, query, enough) {
  let { items, next } = await page(path, key, query);
  for (let pages = 1; next && items.length < enough && pages < MAX_PAGES; pages++) {
    const more = await next();
    items = [...items, ...more.items];
    next = more.next;
  }
  return { items, next };
}

export const segment = encodeURIComponent;
export const serviceRoot = (sid) => `/v1/Services/${segment(sid)}`;
export const convokeServiceRoot = (sid) => `/convoke/v1/Services/${segment(sid)}`;

/** The services of the account. They are fetched once after each sign-in. */
export const services = {
  async load() {
    const configuration = await api.get("/v1/Configuration");
    this.accountSid = configuration.account_sid;
    this.defaultSid = configuration.default_chat_service_sid;
    this.all = (await collect("/v1/Services", "services", {}, 500)).items;
  },
  name(sid) {
    return this.all.find((service) => service.sid === sid)?.friendly_name || sid;
  },
};

// Live updates --------------------------------------------------------------------------------------------------------

/** Asks for the newest event regularly, and notifies the views of a new event. A hidden tab does not ask. */
export const live = {
  newest: undefined,
  timer: 0,
  start() {
    this.stop();
    this.timer = setInterval(() => document.hidden || this.check(), Number(settings.pollSeconds) * 1000);
    this.check();
  },
  stop() {
    clearInterval(this.timer);
    this.newest = undefined;
  },
  async check() {
    try {
      const { items } = await page("/convoke/v1/Events", "events", { PageSize: 1 });
      const newest = items[0]?.id || null;
      const changed = this.newest !== undefined && newest !== this.newest;
      this.newest = newest;
      window.dispatchEvent(new CustomEvent("live", { detail: true }));
      if (changed) this.tell();
    } catch {
      window.dispatchEvent(new CustomEvent("live", { detail: false }));
    }
  },
  tell() {
    window.dispatchEvent(new CustomEvent("changed"));
  },
};
document.addEventListener("visibilitychange", () => !document.hidden && session.get() && live.check());

/** The time of the instance. It differs from the browser's time after somebody moves the clock of the instance. */
export const clock = {
  offset: 0,
  now() {
    return new Date(Date.now() + this.offset);
  },
  set(text) {
    this.offset = new Date(text) - Date.now();
  },
  async load() {
    if (resources.has("Clock")) this.set((await api.get("/convoke/v1/Clock")).now);
  },
};

// DOM helpers ---------------------------------------------------------------------------------------------------------

/** Create an element. A function in `attributes` becomes an event listener. Strings in `children` become text nodes. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.replace(/^on/, ""), value);
    else if (name === "value") element.value = value;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...present(children));
  return element;
}

const present = (children) => children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);

export function fill(element, ...children) {
  element.replaceChildren(...present(children));
  return element;
}

/** Show `items` in `container`. Unchanged items keep their elements, so that the focus and open rows stay. */
export function keyed(container, items, keyOf, render) {
  const known = new Map([...container.children].map((child) => [child.itemKey, child]));
  const wanted = items.map((item) => {
    const key = keyOf(item);
    const content = JSON.stringify(item);
    const existing = known.get(key);
    if (existing?.itemContent === content) return existing;
    return Object.assign(render(item), { itemKey: key, itemContent: content });
  });
  for (const child of [...container.children]) if (!wanted.includes(child)) child.remove();
  wanted.forEach((child, index) => {
    if (container.children[index] !== child) container.insertBefore(child, container.children[index] || null);
  });
}

let ids = 0;
export const newId = (name) => `${name}-${++ids}`;

// Shared parts of views -----------------------------------------------------------------------------------------------

export const badge = (text, tone = "neutral") => h("span", { class: `badge ${tone}` }, text);

const RECEIPT_TONES = { sent: "info", delivered: "good", read: "good", undelivered: "bad", failed: "bad" };
/** Return badges for the receipt of a copy: the status, and the error code if there is one. */
export const receiptBadges = ({ status, error_code: code }) =>
  [badge(status || "queued", RECEIPT_TONES[status]), code ? badge(String(code), "bad") : null];

const STATE_TONES = { active: "good", inactive: "warn", closed: "neutral", initializing: "info" };
export const stateBadge = (state) => badge(state, STATE_TONES[state]);

export const button = (label, onclick, kind = "") => h("button", { type: "button", class: `button ${kind}`, onclick }, label);

export const link = (href, ...children) => h("a", { href }, ...children);

/** Return an element that shows `shown` in a monospaced font, and a button that copies `text`. */
export function copyable(text, shown = text) {
  const copy = h("button", { type: "button", class: "copy", "aria-label": `Copy ${text}`, title: "Copy" });
  copy.addEventListener("click", async (event) => {
    event.preventDefault();
    await navigator.clipboard?.writeText(text);
    announce("Copied.");
  });
  return h("span", { class: "copyable" }, h("code", { title: text }, shown), copy);
}

export const shortSid = (sid) => (sid.length > 20 ? `${sid.slice(0, 6)}…${sid.slice(-6)}` : sid);

export function snippet(text) {
  const copy = button("Copy", async () => {
    await navigator.clipboard?.writeText(text);
    announce("Copied.");
  }, "small");
  return h("div", { class: "snippet" }, h("pre", { tabindex: 0 }, text), copy);
}

/** Return the content of an empty view: a title, a text about what to do next, and code to paste. */
export const emptyState = (title, text, code) =>
  h("div", { class: "empty" }, h("h2", {}, title), h("p", {}, text), code && snippet(code));

export const pythonClient = () => `from twilio.rest import Client

client = Client("${services.accountSid}", "your Auth Token")
client.conversations.base_url = "${apiUrl}"
`;

/** Return a list of names and values. Pairs with an empty value are omitted. */
export function facts(pairs) {
  const rows = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", { class: "facts" }, rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

export const time = (text) => Object.assign(document.createElement("cv-time"), { at: text });
export const countdown = (text) => Object.assign(document.createElement("cv-countdown"), { at: text });

export function problem(error) {
  const more = error.moreInfo?.startsWith("https://") &&
    h("a", { href: error.moreInfo, target: "_blank", rel: "noreferrer" }, "More about this error");
  const code = error.code ? `${error.code} ` : "";
  return h("div", { class: "problem", role: "alert" }, h("strong", {}, code), error.message, " ", more);
}

/** Show a text in the status line. Screen readers read the status line aloud. */
export function announce(text) {
  window.dispatchEvent(new CustomEvent("announce", { detail: text }));
}

/** Return a row that people can open. When a row is first opened, `load` returns its content. */
export function row(cells, load, className = "") {
  const body = h("div", { class: "row-body" });
  const details = h("details", { class: `row ${className}` }, h("summary", {}, cells), body);
  details.addEventListener("toggle", async () => {
    if (!details.open || body.childElementCount) return;
    fill(body, h("p", { class: "quiet" }, "Loading…"));
    try {
      fill(body, await load());
    } catch (error) {
      fill(body, problem(error));
    }
  });
  return details;
}

export const cell = (className, ...children) => h("span", { class: `cell ${className}` }, ...children);

// Dialogs -------------------------------------------------------------------------------------------------------------

/** Return a control with a label. If `unseen` is true, only screen readers read the label. */
export function field({ name, label, type = "text", value = "", hint, options, unseen, ...attributes }) {
  const id = newId("field");
  const common = { id, name, ...attributes, "aria-describedby": hint ? `${id}-hint` : null };
  const text = hint && h("p", { class: "hint", id: `${id}-hint` }, hint);
  if (type === "checkbox") {
    return h("div", { class: "field check" }, h("input", { type, checked: Boolean(value), ...common }), h("label", { for: id }, label), text);
  }
  let control;
  if (options) {
    control = h("select", common, options.map(([key, text]) => h("option", { value: key, selected: key === value }, text)));
  } else {
    control = type === "textarea" ? h("textarea", { rows: 4, ...common, value }) : h("input", { type, ...common, value });
  }
  return h("div", { class: unseen ? "field unseen" : "field" }, h("label", { for: id }, label), control, text);
}

/** Return the values of a form. The value of a checkbox is a boolean. */
export function valuesOf(form) {
  const controls = [...form.elements].filter((each) => each.name);
  return Object.fromEntries(controls.map((each) => [each.name, each.type === "checkbox" ? each.checked : each.value]));
}

/** Return a form. During `submit`, the button is disabled. If `submit` fails, the form shows the error. */
export function form({ fields, submit, label, danger = false, extra = [] }) {
  const problems = h("div", { class: "problems" });
  const action = h("button", { type: "submit", class: `button ${danger ? "danger" : "primary"}` }, label);
  const element = h("form", { class: "form" }, fields, problems, h("div", { class: "actions" }, action, extra));
  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    action.disabled = true;
    fill(problems);
    try {
      await submit(valuesOf(element));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      fill(problems, problem(error));
    } finally {
      action.disabled = false;
    }
  });
  return element;
}

/** Open a dialog with a form. The dialog closes after `submit` succeeds. */
export function ask({ title, text, fields = [], label, submit, danger = false }) {
  const id = newId("dialog");
  const dialog = h("dialog", { "aria-labelledby": id });
  const done = async (values) => {
    await submit(values);
    dialog.close();
  };
  const cancel = button("Cancel", () => dialog.close());
  fill(dialog, h("h2", { id }, title), text && h("p", {}, text), form({ fields, submit: done, label, danger, extra: cancel }));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

// Elements ------------------------------------------------------------------------------------------------------------

const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "narrow" });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

function relative(date) {
  const seconds = (date - clock.now()) / 1000;
  if (Math.abs(seconds) < 5) return "now";
  const [unit, size] = UNITS.find(([, each]) => Math.abs(seconds) >= each) || UNITS.at(-1);
  return RELATIVE.format(Math.trunc(seconds / size), unit);
}

/** An element that shows a date. The text is updated every second. */
class Ticking extends HTMLElement {
  connectedCallback() {
    this.update();
    this.timer = setInterval(() => this.update(), 1000);
  }
  disconnectedCallback() {
    clearInterval(this.timer);
  }
  show(text, title) {
    if (this.textContent !== text) this.textContent = text;
    this.title = title;
  }
}

customElements.define("cv-time", class extends Ticking {
  update() {
    const date = new Date(this.at);
    this.show(relative(date), date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" }));
  }
});

customElements.define("cv-countdown", class extends Ticking {
  update() {
    const left = Math.max(0, Math.round((new Date(this.at) - clock.now()) / 1000));
    const days = Math.floor(left / 86400);
    const parts = [Math.floor(left / 3600) % 24, Math.floor(left / 60) % 60, left % 60];
    const hours = parts.map((part) => String(part).padStart(2, "0")).join(":");
    const text = days ? `${days} d ${hours}` : hours;
    this.show(left ? text : "now", new Date(this.at).toLocaleString());
  }
});

/** A view. `render` creates the elements once. `refresh` reads the data at the start and after each change. */
export class View extends HTMLElement {
  connectedCallback() {
    this.changed = () => this.update();
    window.addEventListener("changed", this.changed);
    this.render();
    this.update();
  }
  disconnectedCallback() {
    window.removeEventListener("changed", this.changed);
  }
  /** Run `refresh`. If `update` is called again meanwhile, run `refresh` once more. */
  async update() {
    if (this.updating) {
      this.again = true;
      return;
    }
    this.updating = true;
    try {
      await this.refresh();
      this.fault?.remove();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.fault?.remove();
      if (session.get()) this.prepend((this.fault = problem(error)));
    } finally {
      this.updating = false;
    }
    if (this.again) {
      this.again = false;
      await this.update();
    }
  }
  render() {}
  async refresh() {}
}

/** Return the header of a view: the title, which gets the focus, and the buttons. */
export const head = (title, ...actions) =>
  h("header", { class: "head" }, h("h1", { tabindex: -1 }, title), h("div", { class: "actions" }, ...actions));

/** Rows with a button that loads the next page. An update reads all pages that are shown. */
export class List {
  constructor({ path, key, keyOf, render, empty, pageSize = 50 }) {
    Object.assign(this, { path, key, keyOf, render, empty, pageSize, query: {}, wanted: pageSize });
    this.rows = h("div", { class: "rows" });
    this.more = button("Load more", () => this.load(this.wanted + this.pageSize));
    this.nothing = h("div");
    this.element = h("div", { class: "list" }, this.rows, this.nothing, h("div", { class: "more" }, this.more));
    this.more.hidden = true;
  }
  async load(wanted = this.wanted) {
    this.wanted = wanted;
    const query = { ...this.query, PageSize: this.pageSize };
    const { items, next } = await collect(this.path, this.key, query, wanted);
    this.items = items;
    keyed(this.rows, items, this.keyOf, this.render);
    fill(this.nothing, !items.length && this.empty());
    this.more.hidden = !next;
  }
}
