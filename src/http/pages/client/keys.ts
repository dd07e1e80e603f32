/** Owns: keyboard shortcuts. Keys with a modifier, or typed into a field, are ignored. */
import { openDialog } from "./dialog.ts";
import { closeMenus } from "./menu.ts";

const places: Readonly<Record<string, string>> = {
  r: "/",
  w: "/workflows",
  s: "/schedules",
  l: "/lanes",
  t: "/stats",
};

const chordMs = 1500;
let chordAt = 0;

/** Shortcuts that other parts of the dashboard add. */
const added = new Map<string, () => void>();

export function addKey(key: string, act: () => void): void {
  added.set(key, act);
}

export function startKeys(): void {
  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (target instanceof HTMLElement && isTyping(target)) {
      if (key === "Escape" && target.closest("dialog") === null) target.blur();
      return;
    }
    if (document.querySelector("dialog[open]") !== null) return;
    if (press(key)) event.preventDefault();
  });
}

function isTyping(element: HTMLElement): boolean {
  return element.isContentEditable || /^(?:INPUT|TEXTAREA|SELECT)$/.test(element.tagName);
}

/** @returns whether the key is a shortcut */
function press(key: string): boolean {
  const isChord = Date.now() - chordAt < chordMs;
  chordAt = 0;
  const place = places[key];
  if (isChord && place !== undefined) {
    location.assign(place);
    return true;
  }
  switch (key) {
    case "g":
      chordAt = Date.now();
      return true;
    case "?":
      openDialog("help");
      return true;
    case "/":
      return focus(document.querySelector<HTMLElement>("[data-filter]"));
    case ".":
      return openMenu();
    case "j":
      return step(1);
    case "k":
      return step(-1);
    default: {
      if (key === "Escape" && closeMenus()) return true;
      const act = added.get(key);
      act?.();
      return act !== undefined;
    }
  }
}

function focus(element: HTMLElement | null | undefined): boolean {
  if (element?.checkVisibility() === false) element.closest("details:not([open])")?.setAttribute("open", "");
  element?.focus();
  element?.scrollIntoView({ block: "nearest" });
  return element !== null && element !== undefined;
}

/** Moves the focus to the next or previous `data-row`, or to its first link. */
function step(by: 1 | -1): boolean {
  const rows = [...document.querySelectorAll<HTMLElement>("[data-row]")].filter((row) => row.checkVisibility());
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const row = at === -1 ? rows[0] : rows[at + by];
  return focus(row?.matches("a, [tabindex]") === true ? row : row?.querySelector<HTMLElement>("a, button"));
}

function openMenu(): boolean {
  const menu = document.querySelector<HTMLElement>("[data-actions]");
  if (menu instanceof HTMLDetailsElement) menu.open = true;
  return focus(menu?.querySelector<HTMLElement>("summary, button, a"));
}
