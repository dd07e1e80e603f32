/**
 * Owns: navigation within the page of a run: the panel of one call, the filter of entries, scrolling to a row that is not
 * loaded yet, and the preview of a fork.
 */
import { fill } from "./blocks.ts";
import { addKey } from "./keys.ts";
import { onDrawn, refresh } from "./page.ts";
import { toast } from "./toast.ts";

export function startRun(): void {
  if (document.querySelector(".run-page") === null) return;
  document.addEventListener("click", follow);
  // Captured, so that the field is set before the dialog opens and asks for the preview.
  document.addEventListener("click", chooseFork, true);
  addKey("Escape", () => void close());
  addEventListener("popstate", () => void refresh());
  // Captured, because `toggle` does not bubble.
  document.addEventListener("toggle", ({ target }) => target instanceof HTMLDetailsElement && enable(target), true);
  document.addEventListener("preview", showFork);
  onDrawn(() => markRow());
  void scrollToRow();
}

function follow(event: MouseEvent): void {
  const { target, button, ctrlKey, metaKey, shiftKey, altKey } = event;
  if (event.defaultPrevented || button !== 0 || ctrlKey || metaKey || shiftKey || altKey) return;
  const link = target instanceof Element ? target.closest<HTMLAnchorElement>("a[href]") : null;
  if (link === null) return;
  if (link.dataset["panelClose"] !== undefined) {
    event.preventDefault();
    void close();
  } else if (link.dataset["step"] !== undefined) {
    event.preventDefault();
    const search = new URL(link.href).searchParams;
    void navigate("step", search.get("step")).then(() => panelTitle()?.focus());
  } else if (link.dataset["entries"] !== undefined) {
    event.preventDefault();
    const { entries = "" } = link.dataset;
    void navigate("entries", entries === "" ? null : entries);
  }
}

/** Changes one parameter of the page's address. */
async function navigate(name: string, value: string | null): Promise<void> {
  const url = new URL(location.href);
  if (value === null) url.searchParams.delete(name);
  else url.searchParams.set(name, value);
  url.hash = "";
  if (url.href !== location.href) history.pushState(null, "", url);
  const main = document.querySelector("main");
  // Drawing the page removes it again.
  main?.setAttribute("aria-busy", "true");
  if (await refresh()) return;
  main?.removeAttribute("aria-busy");
  toast("Holdfast could not be reached. The page shows what it last said.", "warning");
}

async function close(): Promise<void> {
  const key = panelKey();
  if (key === null) return;
  // It is gone at once: that needs no answer.
  document.querySelector("#panel")?.remove();
  markRow();
  rowOf(key)?.focus();
  await navigate("step", null);
}

function panelKey(): string | null {
  return document.querySelector<HTMLElement>("#panel")?.dataset["panel"] ?? null;
}

function panelTitle(): HTMLElement | null {
  return document.querySelector<HTMLElement>("#panel-title");
}

function rowOf(key: string): HTMLElement | null {
  return document.querySelector<HTMLElement>(`.bar-row[data-step="${CSS.escape(key)}"]`);
}

/** Marks the row of the open panel. The server does it only in the blocks that it draws with the page. */
function markRow(): void {
  const key = panelKey();
  for (const row of document.querySelectorAll<HTMLElement>(".bar-row")) {
    if (row.dataset["step"] === key) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
}

/** For a link to one call: loads its block, opens its group of calls, and scrolls to its row. */
async function scrollToRow(): Promise<void> {
  const panel = document.querySelector<HTMLElement>("#panel[data-bar]");
  const size = Number(document.querySelector<HTMLElement>("[data-waterfall]")?.dataset["blockSize"]);
  if (panel === null || !(size > 0)) return;
  const { panel: key = "", bar, calls, call } = panel.dataset;
  await fillAt(document.getElementById(`bars-${Math.floor(Number(bar) / size)}`));
  if (calls !== undefined) {
    const group = document.querySelector<HTMLDetailsElement>(`details[data-calls="${CSS.escape(calls)}"]`);
    if (group !== null) group.open = true;
    await fillAt(group?.querySelectorAll<HTMLElement>("[data-block]")[Math.floor(Number(call) / size)]);
  }
  rowOf(key)?.scrollIntoView({ block: "nearest" });
}

async function fillAt(block: HTMLElement | null | undefined): Promise<void> {
  if (block !== null && block !== undefined) await fill(block);
}

function chooseFork({ target }: MouseEvent): void {
  const button = target instanceof Element ? target.closest<HTMLElement>("[data-fork-from]") : null;
  const field = document.querySelector<HTMLInputElement>("#fork-from");
  if (button !== null && field !== null) field.value = button.dataset["forkFrom"] ?? "";
}

function enable({ dataset, open }: HTMLDetailsElement): void {
  const field = document.getElementById(dataset["enables"] ?? "");
  if (field instanceof HTMLTextAreaElement) field.disabled = !open;
}

type Plan = { readonly kept?: readonly string[]; readonly rerun?: readonly string[] };
const maxShown = 40;

function showFork(event: Event): void {
  const { target } = event;
  if (!(target instanceof Element) || target.closest("#fork") === null || !(event instanceof CustomEvent)) return;
  const plan = (event.detail as Plan | null) ?? {};
  for (const part of ["kept", "rerun"] as const) {
    const place = target.querySelector(`[data-fork="${part}"]`);
    if (place !== null) place.textContent = list(plan[part]);
  }
}

function list(steps: readonly string[] | undefined): string {
  if (steps === undefined) return "…";
  if (steps.length === 0) return "nothing";
  const more = steps.length > maxShown ? ` and ${steps.length - maxShown} more` : "";
  return `${steps.length}: ${steps.slice(0, maxShown).join(", ")}${more}`;
}
