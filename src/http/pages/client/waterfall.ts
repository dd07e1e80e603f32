/**
 * Owns: zooming and panning the timeline. Positions are percentages of a width that is multiplied by the zoom, so two CSS
 * properties of the waterfall move all rows.
 */
import { addKey } from "./keys.ts";
import { onDrawn } from "./page.ts";

const maxZoom = 32;
let zoom = 1;

export function startWaterfall(): void {
  if (find("[data-waterfall]") === null) return;
  document.addEventListener("click", ({ target }) => {
    const button = target instanceof Element ? target.closest<HTMLElement>("button[data-zoom]") : null;
    if (button !== null) zoomBy(button.dataset["zoom"]);
  });
  addKey("+", () => zoomBy("in"));
  addKey("=", () => zoomBy("in"));
  addKey("-", () => zoomBy("out"));
  addKey("0", () => zoomBy("all"));
  // Captured, because `scroll` does not bubble.
  document.addEventListener("scroll", ({ target }) => target === find("[data-pan]") && apply(), true);
  document.addEventListener("wheel", panByWheel, { passive: false });
  startDragging();
  onDrawn(() => apply());
}

function find(selector: string): HTMLElement | null {
  return document.querySelector<HTMLElement>(selector);
}

function zoomBy(how: string | undefined): void {
  const next = how === "in" ? Math.min(maxZoom, zoom * 2) : how === "out" ? Math.max(1, zoom / 2) : 1;
  const pan = find("[data-pan]");
  if (pan === null || next === zoom) return;
  const middle = pan.clientWidth / 2;
  const centre = (pan.scrollLeft + middle) / zoom;
  zoom = next;
  pan.hidden = zoom === 1;
  const inner = pan.firstElementChild;
  if (inner instanceof HTMLElement) inner.style.width = `${zoom * 100}%`;
  pan.scrollLeft = centre * zoom - middle;
  apply();
}

function apply(): void {
  const waterfall = find("[data-waterfall]");
  if (waterfall === null) return;
  waterfall.style.setProperty("--zoom", String(zoom));
  waterfall.style.setProperty("--pan", `${zoom === 1 ? 0 : (find("[data-pan]")?.scrollLeft ?? 0)}px`);
  waterfall.dataset["uiZoom"] = String(Math.log2(zoom));
  const level = find("[data-zoom-level]");
  if (level !== null && level.textContent !== `${zoom}×`) level.textContent = `${zoom}×`;
  for (const button of document.querySelectorAll<HTMLButtonElement>("button[data-zoom]")) {
    button.disabled = button.dataset["zoom"] === "in" ? zoom === maxZoom : zoom === 1;
  }
}

/** A horizontal turn of the wheel over the timeline pans it. */
function panByWheel(event: WheelEvent): void {
  const { target, deltaX, deltaY, shiftKey } = event;
  const pan = find("[data-pan]");
  const by = shiftKey ? deltaX + deltaY : deltaX;
  if (pan === null || zoom === 1 || by === 0 || Math.abs(deltaY) > Math.abs(by)) return;
  if (!(target instanceof Element) || target.closest("[data-waterfall]") === null) return;
  event.preventDefault();
  pan.scrollLeft += by;
}

/** A pointer that moved by more pixels drags, and does not click. */
const dragThreshold = 4;

function startDragging(): void {
  let from: { readonly x: number; readonly left: number } | null = null;
  let moved = false;
  document.addEventListener("pointerdown", ({ target, clientX, pointerType, button }) => {
    const pan = find("[data-pan]");
    const isTrack = target instanceof Element && target.closest(".bar-track") !== null;
    moved = false;
    from =
      isTrack && pan !== null && zoom > 1 && pointerType === "mouse" && button === 0
        ? { x: clientX, left: pan.scrollLeft }
        : null;
  });
  document.addEventListener("pointermove", ({ clientX }) => {
    const pan = find("[data-pan]");
    if (from === null || pan === null) return;
    moved ||= Math.abs(clientX - from.x) > dragThreshold;
    if (moved) pan.scrollLeft = from.left - (clientX - from.x);
  });
  document.addEventListener("pointerup", () => {
    from = null;
  });
  document.addEventListener("dragstart", (event) => from !== null && event.preventDefault());
  document.addEventListener(
    "click",
    (event) => {
      if (!moved) return;
      moved = false;
      event.preventDefault();
      event.stopPropagation();
    },
    true,
  );
}
