/**
 * Owns: blocks of rows that are loaded near the viewport and removed far from it, so that a list of ten thousand rows
 * costs no more than one of a hundred. A removed block leaves an empty place of the same height.
 */
import { morph } from "./morph.ts";
import { drawn, fetchHtml, onDrawn } from "./page.ts";

const near = "1200px 0px";
const farPx = 4000;
const far = `${farPx}px 0px`;
/** A block that leaves the viewport sooner than this is not loaded. */
const settleMs = 80;

const nearObserver = new IntersectionObserver(
  (seen) => {
    for (const { isIntersecting, target } of seen) {
      if (isIntersecting && target instanceof HTMLElement) setTimeout(() => fillIfNear(target), settleMs);
    }
  },
  { rootMargin: near },
);

const farObserver = new IntersectionObserver(
  (seen) => {
    for (const { isIntersecting, target } of seen) {
      // A window that is hidden or resized reports no intersections for a moment, so the distance is checked.
      if (!isIntersecting && target instanceof HTMLElement && isFar(target)) empty(target);
    }
  },
  { rootMargin: far },
);

function isFar(block: HTMLElement): boolean {
  const { top, bottom } = block.getBoundingClientRect();
  return bottom < -farPx || top > innerHeight + farPx;
}

const watched = new WeakSet<Element>();
const loading = new WeakSet<Element>();
/** The `data-stamp` that each block had when it was filled. */
const stamps = new WeakMap<Element, string>();

export function startBlocks(): void {
  onDrawn((root) => {
    for (const block of root.querySelectorAll<HTMLElement>("[data-block]")) watch(block);
  });
}

/** Fills the block even if it is far away, before a jump to one of its rows. */
export function fill(block: HTMLElement): Promise<void> {
  return isFilled(block) ? Promise.resolve() : load(block, true);
}

function fillIfNear(block: HTMLElement): void {
  if (!isFilled(block) && !isFar(block)) void load(block);
}

function isFilled(block: HTMLElement): boolean {
  return block.hasAttribute("data-filled");
}

function watch(block: HTMLElement): void {
  if (!watched.has(block)) {
    watched.add(block);
    if (isFilled(block)) stamps.set(block, block.dataset["stamp"] ?? "");
    nearObserver.observe(block);
    farObserver.observe(block);
    return;
  }
  if (!isFilled(block)) return;
  // The page was drawn again, which brings back blocks that had been removed.
  if (isFar(block)) empty(block);
  else if (stamps.get(block) !== block.dataset["stamp"]) void load(block);
}

/** @param isForced also fill the block if it is far away when it is loaded */
async function load(block: HTMLElement, isForced = false): Promise<void> {
  const { block: src, stamp = "" } = block.dataset;
  if (src === undefined || loading.has(block)) return;
  loading.add(block);
  const html = await fetchHtml(src);
  loading.delete(block);
  if (html === null) return retry(block);
  // It was scrolled past meanwhile, and is loaded when it is near again.
  if (!isForced && !isFilled(block) && isFar(block)) return;
  const next = block.cloneNode(false) as HTMLElement;
  next.innerHTML = html;
  next.setAttribute("data-filled", "");
  if (isFilled(block)) {
    morph(block, next);
  } else {
    block.setAttribute("data-filled", "");
    block.replaceChildren(...next.childNodes);
  }
  stamps.set(block, stamp);
  drawn(block);
}

/** Observes the block anew, so that it is loaded again if it is still near. */
function retry(block: HTMLElement): void {
  setTimeout(() => {
    nearObserver.unobserve(block);
    nearObserver.observe(block);
  }, 2000);
}

function empty(block: HTMLElement): void {
  if (!isFilled(block) || block.contains(document.activeElement) || block.querySelector("[open]") !== null) return;
  const place = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  place.setAttribute("class", "place");
  place.setAttribute("width", "1");
  place.setAttribute("height", String(Math.round(block.getBoundingClientRect().height)));
  place.setAttribute("aria-hidden", "true");
  block.removeAttribute("data-filled");
  block.replaceChildren(place);
}
