/**
 * Owns: forms that call the API at the address `data-action` with the method `data-method`. Fields become the body:
 *
 * - `name="a"` is the field `a`; `name="a.b"` the field `b` of `a`. A number input is a number, a checkbox
 *   true or false, anything with `data-json` is parsed; an empty field is left out, or null with `data-empty="null"`.
 * - `data-body` makes the value of that field the whole body; `data-spread` puts its fields among the body's.
 * - `data-part` fills `{name}` in the address and is not in the body.
 * - `data-header="actor"` and `"reason"` become headers; the actor is kept in local storage.
 * - `data-value-form` is a form for a JSON value, which form.ts reads.
 */
import { FieldError } from "./error.ts";
import { readForm, valueForm } from "./form.ts";
import { refresh } from "./page.ts";
import { toast } from "./toast.ts";

type Json = Record<string, unknown>;
type Field = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;
type Problem = {
  readonly detail?: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
};

/** What the API says of it is for its other callers. */
const signedOut: Problem = {
  detail: "You are signed out. Sign in in another tab, and try again: nothing here is lost.",
};

/** Gets the focus when a dialog opens; if there is none, the actor or the reason gets it. */
const firstField =
  "[autofocus], :is(input, select, textarea)[name]:not([type=hidden]), [data-pane]:not([hidden]) :is(input, select, textarea)";

const actorKey = "holdfast.actor";
const previewMs = 200;

/** Idempotency keys, the same from opening to closing, so that a second click after a lost response repeats the same request. */
const keys = new WeakMap<HTMLFormElement, string>();

export function startActions(): void {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || form.dataset["action"] === undefined) return;
    event.preventDefault();
    void send(form);
  });
  document.addEventListener("opened", ({ target }) => {
    const form = target instanceof Element ? target.querySelector<HTMLFormElement>("form[data-action]") : null;
    if (form !== null) open(form);
  });
  document.addEventListener("input", ({ target }) => {
    const form = target instanceof Element ? target.closest<HTMLFormElement>("form[data-preview]") : null;
    const isHeader = target instanceof HTMLElement && target.dataset["header"] !== undefined;
    if (form !== null && !isHeader) schedulePreview(form);
    // Such a form stays open after its answer. Once it is changed, it is another request.
    const reused = target instanceof Element ? target.closest<HTMLFormElement>("form:has([data-answer])") : null;
    if (reused !== null) keys.set(reused, crypto.randomUUID());
  });
}

function open(form: HTMLFormElement): void {
  keys.set(form, crypto.randomUUID());
  showProblem(form, null);
  hideAnswer(form);
  const actor = form.querySelector<HTMLInputElement>("[data-header=actor]");
  const reason = form.querySelector<HTMLInputElement>("[data-header=reason]");
  if (reason !== null) reason.value = "";
  if (actor !== null && actor.value === "") actor.value = localStorage.getItem(actorKey) ?? "";
  const first = form.querySelector<Field>(firstField);
  const empty = actor?.value === "" ? actor : reason;
  (first ?? empty)?.focus();
  if (form.dataset["preview"] === undefined) return;
  const button = form.querySelector<HTMLButtonElement>("[data-submit]");
  if (button !== null && form.dataset["submitPreview"] !== undefined) {
    // Until it is known what this is about, it cannot be sent.
    button.textContent = button.dataset["submit"] ?? "";
    button.disabled = true;
  }
  void preview(form);
}

async function send(form: HTMLFormElement): Promise<void> {
  const button = form.querySelector<HTMLButtonElement>("[data-submit]");
  if (button?.disabled === true) return;
  showProblem(form, null);
  hideAnswer(form);
  try {
    const request = read(form, form.dataset["action"] ?? "");
    if (button !== null) button.disabled = true;
    form.setAttribute("aria-busy", "true");
    const answer = await fetch(request.url, {
      method: form.dataset["method"] ?? "POST",
      headers: { ...request.headers, "idempotency-key": keys.get(form) ?? crypto.randomUUID() },
      ...(request.body === undefined ? {} : { body: request.body }),
    });
    const json = await readJson(answer);
    if (answer.ok) return succeed(form, json);
    const isSignedOut = answer.status === 401;
    // The next request may have another body, so it needs another key. One that was not looked at, or of which it is not
    // known what became, may be made again.
    if (!isSignedOut && answer.status < 500) keys.set(form, crypto.randomUUID());
    refuse(form, isSignedOut ? signedOut : json);
  } catch (error) {
    showProblem(
      form,
      error instanceof FieldError ? error.message : "Holdfast could not be reached. Nothing is lost: try again.",
    );
  } finally {
    if (button !== null) button.disabled = false;
    form.removeAttribute("aria-busy");
  }
}

/** Hides the answer to the request before. */
function hideAnswer(form: HTMLFormElement): void {
  const answer = form.querySelector<HTMLElement>("[data-answer]");
  if (answer !== null) answer.hidden = true;
}

function refuse(form: HTMLFormElement, problem: Problem): void {
  const marks = new CustomEvent("problem", { bubbles: true, cancelable: true, detail: problem });
  const isShown = !form.dispatchEvent(marks);
  const lines = isShown ? [] : (problem.errors ?? []).map(({ path, message }) => `${path} ${message}`);
  showProblem(form, [problem.detail ?? "The request was refused.", ...lines].join("\n"));
}

function succeed(form: HTMLFormElement, json: Json): void {
  const { done = "Done.", then } = form.dataset;
  const answer = form.querySelector<HTMLElement>("[data-answer]");
  if (answer !== null) {
    answer.textContent = JSON.stringify("result" in json ? json["result"] : json, null, 2);
    answer.hidden = false;
    // The form stays open: sending it once more is a new request.
    keys.set(form, crypto.randomUUID());
    return void refresh();
  }
  form.closest("dialog")?.close();
  form.dispatchEvent(new CustomEvent("done", { bubbles: true, detail: json }));
  if (then !== undefined) return location.assign(fillIn(then, json, encodeURIComponent));
  toast(fillIn(done, json, String));
  void refresh();
}

function showProblem(form: HTMLFormElement, text: string | null): void {
  const place = form.querySelector<HTMLElement>(".problem");
  if (place === null) return;
  place.hidden = text === null;
  place.textContent = text ?? "";
}

/** Replaces `{field}` by that field of the JSON; `{field|run|runs}` adds the singular or the plural. */
function fillIn(text: string, json: Json, write: (part: string) => string): string {
  return text.replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (_, name: string, one?: string, many = "") => {
    const value = write(String(json[name] ?? ""));
    return one === undefined ? value : `${value} ${json[name] === 1 ? one : many}`;
  });
}

async function readJson(answer: Response): Promise<Json> {
  try {
    return (await answer.json()) as Json;
  } catch {
    return {};
  }
}

const timers = new WeakMap<HTMLFormElement, ReturnType<typeof setTimeout>>();

function schedulePreview(form: HTMLFormElement): void {
  clearTimeout(timers.get(form));
  timers.set(
    form,
    setTimeout(() => void preview(form), previewMs),
  );
}

const previews = new WeakMap<HTMLFormElement, symbol>();

/** Asks the API what the action would do. The form's event `preview` has the answer, or null if it was refused. */
async function preview(form: HTMLFormElement): Promise<void> {
  const asked = Symbol();
  previews.set(form, asked);
  try {
    const { url, headers, body } = read(form, form.dataset["preview"] ?? "");
    const answer = await fetch(url, { method: "POST", headers, body: body ?? null });
    const json = await readJson(answer);
    // Another was asked for meanwhile, and may have had its answer first.
    if (previews.get(form) !== asked) return;
    const { detail = "This would be refused." }: Problem = answer.status === 401 ? signedOut : json;
    showProblem(form, answer.ok ? null : detail);
    if (answer.ok) showCount(form, json);
    form.dispatchEvent(new CustomEvent("preview", { bubbles: true, detail: answer.ok ? json : null }));
  } catch (error) {
    const text =
      error instanceof FieldError ? error.message : "Holdfast could not be reached. Close this, and try again.";
    if (previews.get(form) === asked) showProblem(form, text);
  }
}

/** The button says what it is about; what is about nothing cannot be sent. */
function showCount(form: HTMLFormElement, json: Json): void {
  const text = form.dataset["submitPreview"];
  const button = form.querySelector<HTMLButtonElement>("[data-submit]");
  if (text === undefined || button === null) return;
  button.textContent = fillIn(text, json, String);
  button.disabled = json["count"] === 0;
}

type ApiRequest = { readonly url: string; readonly headers: Record<string, string>; readonly body?: string };

/** @throws FieldError */
function read(form: HTMLFormElement, address: string): ApiRequest {
  const headers: Record<string, string> = {};
  const parts: Json = {};
  const body: Json = {};
  let whole: { readonly value: unknown } | null = null;
  for (const field of form.querySelectorAll<HTMLElement>(`[data-header], [name], ${valueForm}`)) {
    const { header, part, body: isWhole, spread } = field.dataset;
    const name = field.getAttribute("name") ?? "";
    if (header !== undefined) {
      addHeader(headers, header, (field as Field).value.trim());
      continue;
    }
    const isForm = field.matches(valueForm);
    if (!isForm && field.closest(valueForm) !== null) continue;
    const value = isForm ? readForm(field) : valueOf(field as Field);
    if (value === undefined) continue;
    if (part !== undefined) parts[name] = value;
    else if (isWhole !== undefined) whole = { value };
    else if (spread !== undefined) Object.assign(body, value);
    else setAt(body, name.split("."), value);
  }
  const content = whole === null ? (Object.keys(body).length === 0 ? undefined : body) : whole.value;
  if (content !== undefined) headers["content-type"] = "application/json";
  const url = fillIn(address, parts, encodeURIComponent);
  return { url, headers, ...(content === undefined ? {} : { body: JSON.stringify(content) }) };
}

function addHeader(headers: Record<string, string>, header: string, text: string): void {
  if (text === "") return;
  if (header === "actor") localStorage.setItem(actorKey, text);
  headers[header === "actor" ? "holdfast-actor" : "holdfast-reason"] = encodeURIComponent(text);
}

function setAt(into: Json, [name = "", ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) {
    into[name] = value;
    return;
  }
  const inner = (into[name] ?? {}) as Json;
  into[name] = inner;
  setAt(inner, rest, value);
}

/** Returns undefined for a field to leave out. @throws FieldError */
function valueOf(field: Field): unknown {
  const { json, empty } = field.dataset;
  if (field.disabled || (field instanceof HTMLInputElement && field.type === "radio" && !field.checked))
    return undefined;
  if (field instanceof HTMLInputElement && field.type === "checkbox") return field.checked;
  if (field.value.trim() === "") return empty === "null" ? null : undefined;
  if (json !== undefined) return parseJson(field);
  if (field instanceof HTMLInputElement && field.type === "number") return field.valueAsNumber;
  if (field instanceof HTMLInputElement && field.type === "datetime-local") return new Date(field.value).toISOString();
  return field.value;
}

function parseJson({ value, name, labels }: Field): unknown {
  try {
    return JSON.parse(value) as unknown;
  } catch (error) {
    const label = labels?.[0]?.textContent?.trim() ?? name;
    throw new FieldError(`${label} is not JSON: ${error instanceof Error ? error.message : "it does not parse"}`);
  }
}
