"use strict";
// Shows the OpenAPI document beside this page. All text goes in as text, never as HTML.

const METHODS = ["get", "post", "put", "patch", "delete"];
const MOST_SHOWN = 200_000;
let api;

const find = (id) => document.getElementById(id);

/** An element: `h("p", {class: "x", onclick: f}, "text", child, …)`; empty children are left out. */
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Text with `code` and **bold**. */
function inline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).filter(Boolean).map((part) => {
    if (part.startsWith("`")) return h("code", {}, part.slice(1, -1));
    if (part.startsWith("**")) return h("strong", {}, part.slice(2, -2));
    return part;
  });
}

const prose = (text) => h("div", { class: "prose" }, text.split(/\n\s*\n/).map((part) => h("p", {}, inline(part))));

/** What a `$ref` leads to; keys beside it, such as a description, come first. */
function resolve(value) {
  if (!value || !value.$ref) return value;
  const target = value.$ref.slice(2).split("/").reduce((place, key) => place[key], api);
  const { $ref, ...own } = value;
  return { ...resolve(target), ...own };
}

const nameOf = (schema) => (schema.$ref ? schema.$ref.split("/").pop() : null);

/** A schema in a few words: `array of NodeView`, `integer ≥ 1`, `string (uuid) or null`. */
function typeName(schema) {
  if (nameOf(schema)) return nameOf(schema);
  const choices = schema.anyOf || schema.oneOf;
  if (choices) return choices.map(typeName).join(" or ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.type === "array") return `array of ${schema.items ? typeName(schema.items) : "anything"}`;
  if (schema.type === "object" && schema.additionalProperties && schema.additionalProperties !== true)
    return `object of ${typeName(schema.additionalProperties)}`;
  const words = [schema.type || "anything"];
  if (schema.format) words.push(`(${schema.format})`);
  const bounds = [["minimum", "≥"], ["exclusiveMinimum", ">"], ["maximum", "≤"], ["exclusiveMaximum", "<"]];
  for (const [key, sign] of bounds) if (schema[key] !== undefined) words.push(`${sign} ${schema[key]}`);
  if (schema.minLength > 1 || schema.maxLength)
    words.push(`${schema.minLength || 0}–${schema.maxLength ?? "∞"} characters`);
  return words.join(" ");
}

/** The named objects that a schema leads to, for looking into them. */
function objectsIn(schema) {
  const shown = resolve(schema);
  if (shown.properties) return [{ title: nameOf(schema), schema: shown }];
  const inner = [...(shown.anyOf || shown.oneOf || [])];
  if (shown.items) inner.push(shown.items);
  if (shown.additionalProperties && shown.additionalProperties !== true && !(nameOf(schema) && shown.type === "object"))
    inner.push(shown.additionalProperties);
  return inner.flatMap((item) => (nameOf(item) && nameOf(item) === nameOf(schema) ? [] : objectsIn(item)));
}

/** One field; `sent` says which way it goes: of what is sent the required ones are marked, of answers the optional ones. */
function fieldView(name, schema, required, sent) {
  const shown = resolve(schema);
  const choices = shown.enum || (shown.anyOf || []).map(resolve).flatMap((choice) => choice.enum || []);
  const inside = objectsIn(schema);
  return h("div", { class: "field" },
    h("div", {}, h("span", { class: "name" }, name), sent === required && h("span", { class: sent ? "required" : "optional" }, sent ? "required" : "optional")),
    h("div", {},
      h("span", { class: "type" }, typeName(schema), shown.default !== undefined && shown.default !== null
        ? ` = ${JSON.stringify(shown.default)}` : null),
      choices.length > 0 && h("div", { class: "choices" }, choices.map((choice) => h("code", {}, String(choice)))),
      shown.description && !nameOf(schema) && h("p", {}, inline(shown.description)),
      inside.map((item) => later(item.title ? `Fields of ${item.title}` : "Fields", () => schemaView(item.schema, sent)))));
}

/** A `details` whose content is made when it is first opened: schemas may refer to themselves. */
function later(title, make) {
  const details = h("details", {}, h("summary", {}, title));
  details.addEventListener("toggle", () => details.children.length > 1 || details.append(make()), { once: true });
  return details;
}

function schemaView(schema, sent) {
  const shown = resolve(schema);
  if (shown.properties) {
    const required = shown.required || [];
    return h("div", { class: "fields" },
      Object.entries(shown.properties).map(([name, inner]) => fieldView(name, inner, required.includes(name), sent)));
  }
  const inside = objectsIn(schema);
  return h("div", {},
    h("p", { class: "note" }, h("span", { class: "type" }, typeName(schema)), shown.description
      ? [": ", inline(shown.description)] : null),
    inside.length === 1 ? schemaView(inside[0].schema, sent)
      : inside.map((item) => [h("p", { class: "note" }, item.title), schemaView(item.schema, sent)]));
}

/** JSON to read: indented, with short lists of plain values on one line. */
function pretty(value) {
  return JSON.stringify(value, null, 2).replace(/\[\s+([^[\]{}]{1,90}?)\s+\]/g, (list, inner) => `[${inner.replace(/\s*\n\s*/g, " ")}]`);
}

/** JSON with colours, as text nodes; text as it is. */
function jsonView(value) {
  const block = h("pre", { tabindex: "0" });
  const text = typeof value === "string" ? value : pretty(value);
  if (typeof value === "string") {
    block.append(text);
    return block;
  }
  const token = /("(?:[^"\\]|\\.)*")(\s*:)?|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\b(?:true|false|null)\b/g;
  let last = 0;
  for (const match of text.matchAll(token)) {
    block.append(text.slice(last, match.index));
    const kind = match[1] ? (match[2] ? "key" : "text") : "value";
    block.append(h("span", { class: kind }, match[1] || match[0]), match[2] || "");
    last = match.index + match[0].length;
  }
  block.append(text.slice(last));
  return block;
}

function examplesOf(media) {
  if (media.example !== undefined) return [["Example", media.example]];
  return Object.values(media.examples || {}).map((example) => [example.summary || "Example", example.value]);
}

function contentView(content, sent) {
  return Object.entries(content || {}).map(([kind, media]) => h("div", {},
    h("h3", {}, "Body ", h("span", { class: "media" }, kind)),
    media.schema && schemaView(media.schema, sent),
    examplesOf(media).map(([title, value]) => [h("p", { class: "note" }, title), jsonView(value)])));
}

function answerView(status, answer) {
  const shown = resolve(answer);
  const details = h("details", { class: "answer" },
    h("summary", {}, h("span", { class: `status s${status[0]}` }, status), h("span", {}, inline(shown.description))));
  details.addEventListener("toggle", () => {
    if (details.children.length > 1) return;
    const headers = Object.entries(shown.headers || {});
    details.append(h("div", {},
      headers.length > 0 && [h("h3", {}, "Headers"), h("div", { class: "fields" }, headers.map(([name, header]) =>
        fieldView(name, { ...resolve(header).schema, description: resolve(header).description }, true, false)))],
      contentView(shown.content, false)));
  });
  return details;
}

/** The form that sends one operation to this very server. */
function tryView(operation) {
  const inputs = new Map();
  const row = (parameter) => {
    const schema = resolve(parameter.schema);
    const input = schema.enum
      ? h("select", {}, h("option", { value: "" }, "—"), schema.enum.map((choice) => h("option", {}, choice)))
      : h("input", { placeholder: typeName(parameter.schema), autocomplete: "off", spellcheck: "false" });
    inputs.set(parameter, input);
    return h("label", {}, h("span", {}, h("code", {}, parameter.name), ` ${parameter.in}`), input);
  };
  const rows = (operation.parameters || []).map(row);
  const kinds = Object.entries(operation.requestBody?.content || {});
  const forms = kinds.map(([kind, media]) => bodyForm(kind, media));
  const choice = h("select", { onchange: show }, kinds.map(([kind]) => h("option", {}, kind)));
  function show() {
    forms.forEach((form, index) => { form.element.hidden = kinds[index][0] !== choice.value; });
  }
  show();
  const out = h("div", { "aria-live": "polite" });
  const button = h("button", { type: "button", onclick: send }, "Send");
  async function send() {
    button.disabled = true;
    try {
      const form = forms[kinds.findIndex(([kind]) => kind === choice.value)];
      out.replaceChildren(await answerOf(operation, inputs, form?.content()));
    } catch (error) {
      out.replaceChildren(h("p", { class: "note" }, `Not sent: ${error.message}`));
    } finally {
      button.disabled = false;
    }
  }
  return h("div", { class: "try" }, h("h3", {}, "Try it"), rows,
    kinds.length > 1 && h("label", {}, h("span", {}, "Body"), choice), forms.map((form) => form.element),
    h("div", { class: "send" }, button, operation.secured && h("span", { class: "note" }, "with the bearer token on the left")),
    out);
}

function bodyForm(kind, media) {
  if (kind !== "multipart/form-data") {
    const text = h("textarea", { spellcheck: "false", "aria-label": "JSON to send" });
    text.value = pretty(media.example ?? {});
    return { element: h("label", { class: "tall" }, text), content: () => ({ text: text.value, kind }) };
  }
  const fields = Object.entries(resolve(media.schema).properties).map(([name, schema]) => {
    const input = h("input", resolve(schema).format === "binary" ? { type: "file" } : { placeholder: typeName(schema) });
    return [name, input];
  });
  const content = () => {
    const data = new FormData();
    for (const [name, input] of fields) {
      if (input.type === "file") [...input.files].forEach((file) => data.append(name, file));
      else if (input.value) data.append(name, input.value);
    }
    return { data };
  };
  return { element: h("div", {}, fields.map(([name, input]) => h("label", {}, h("code", {}, name), input))), content };
}

async function answerOf(operation, inputs, body) {
  let path = operation.path;
  const query = new URLSearchParams();
  const headers = new Headers();
  for (const [parameter, input] of inputs) {
    const value = input.value.trim();
    if (parameter.in === "path" && !value) throw new Error(`${parameter.name} is missing.`);
    if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, encodeURIComponent(value));
    else if (value && parameter.in === "query") query.set(parameter.name, value);
    else if (value) headers.set(parameter.name, value);
  }
  if (operation.secured && find("token").value) headers.set("Authorization", `Bearer ${find("token").value.trim()}`);
  if (body?.text !== undefined) headers.set("Content-Type", body.kind);
  const root = new URL(find("source").href).pathname.replace(/\/api\/openapi\.json$/, "");
  const address = root + path + (query.size ? `?${query}` : "");
  const began = performance.now();
  const answer = await fetch(address, {
    method: operation.method.toUpperCase(), headers, body: body?.data ?? body?.text, credentials: "omit", cache: "no-store",
  });
  const text = await answer.text();
  const took = Math.round(performance.now() - began);
  let shown = text.slice(0, MOST_SHOWN);
  try { shown = text.length > MOST_SHOWN ? shown : JSON.parse(text); } catch { /* it is no JSON */ }
  return h("div", {},
    h("p", { class: "note" }, h("span", { class: `status s${String(answer.status)[0]}` }, answer.status), ` in ${took} ms`),
    h("pre", { tabindex: "0" }, [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n")),
    text && jsonView(shown));
}

function pathView(path) {
  return h("span", { class: "path" }, path.split(/(\{\w+\})/).map((part) => (part.startsWith("{") ? h("b", {}, part) : part)));
}

function operationView(operation) {
  const details = h("details", { class: "operation", id: operation.operationId },
    h("summary", {}, h("span", { class: `method ${operation.method}` }, operation.method.toUpperCase()),
      pathView(operation.path), !operation.secured && h("span", { class: "open" }, "no token"),
      h("span", { class: "what" }, operation.summary)));
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(insideView(operation));
    if (details.open) history.replaceState(null, "", `#${operation.operationId}`);
  });
  return details;
}

function insideView(operation) {
  const parameters = operation.parameters || [];
  return h("div", { class: "inside" },
    operation.description && prose(operation.description),
    parameters.length > 0 && [h("h3", {}, "Parameters"), h("div", { class: "fields" }, parameters.map((parameter) =>
      fieldView(`${parameter.name}`, { ...parameter.schema, description: parameter.description || `In the ${parameter.in}.` },
        parameter.required === true, true)))],
    operation.requestBody && contentView(operation.requestBody.content, true),
    h("h3", {}, "Answers"),
    Object.entries(operation.responses).map(([status, answer]) => answerView(status, answer)),
    tryView(operation));
}

function operationsOf(tag) {
  return Object.entries(api.paths).flatMap(([path, item]) => METHODS.filter((method) => item[method]?.tags.includes(tag))
    .map((method) => ({ ...item[method], path, method, secured: (item[method].security || api.security).length > 0 })));
}

function render() {
  document.title = `${api.info.title} API`;
  find("title").textContent = api.info.title;
  find("version").textContent = `API ${api.info.version} ·`;
  const sections = api.tags.map((tag) => ({ tag, operations: operationsOf(tag.name) }));
  const views = [];
  const main = find("main");
  main.replaceChildren(h("div", { id: "intro" }, prose(api.info.description)));
  for (const { tag, operations } of sections) {
    const heading = h("h2", {}, tag.name);
    const section = h("section", {}, h("h2", {}, tag.name), h("p", { class: "lead" }, tag.description));
    find("contents").append(heading);
    for (const operation of operations) {
      const view = operationView(operation);
      const link = h("a", { href: `#${operation.operationId}`, onclick: () => { view.open = true; } },
        h("span", { class: `method ${operation.method}` }, operation.method.toUpperCase()), operation.summary);
      const words = [operation.method, operation.path, operation.summary, operation.description, tag.name].join(" ");
      views.push({ view, link, heading, section, words: words.toLowerCase() });
      section.append(view);
      find("contents").append(link);
    }
    main.append(section);
  }
  const none = h("p", { class: "none", hidden: true }, "No operation has these words.");
  main.append(none);
  find("search").addEventListener("input", () => search(views, none));
  search(views, none);
  open();
  addEventListener("hashchange", open);
}

function search(views, none) {
  const wanted = find("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = new Set();
  for (const item of views) {
    const fits = wanted.every((word) => item.words.includes(word));
    item.view.hidden = item.link.hidden = !fits;
    if (fits) shown.add(item.section).add(item.heading);
  }
  for (const item of views) item.section.hidden = item.heading.hidden = !shown.has(item.section);
  find("intro").hidden = wanted.length > 0;
  none.hidden = shown.size > 0;
}

function open() {
  const view = location.hash.length > 1 && find(location.hash.slice(1));
  if (!view || !view.classList.contains("operation")) return;
  view.open = true;
  view.scrollIntoView();
}

find("signing").addEventListener("submit", (event) => event.preventDefault());

addEventListener("keydown", (event) => {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName);
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  find("search").focus();
});

async function start() {
  // With a slash at its end the page's address is one level deeper.
  find("source").href = new URL("openapi.json", location.href.replace(/[?#].*$/, "").replace(/\/+$/, ""));
  const answer = await fetch(find("source").href);
  if (!answer.ok) throw new Error(`the server said ${answer.status}`);
  api = await answer.json();
  render();
}

start().catch((error) => { find("status").textContent = `The document could not be read: ${error.message}. Reload to try again.`; });
