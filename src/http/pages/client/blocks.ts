/**
 * Owns: blocks of rows that come when they are near and go when they are far, so that a list of ten
 * thousand rows is as light as one of a hundred. A block that goes leaves a place of its own height.
 */
import { morph } from "./morph.ts";
import { drawn, fetchHtml, onDrawn } from "./page.ts";

const near = "1200px 0px";
const farPx = 4000;
const far = `${farPx}px 0px`;
/** What somebody scrolls past in less is not asked for. */
const settleMs = 80;

const arriving = new IntersectionObserver(
  (seen) => {
    for (const { isIntersecting, target } of seen) {
      if (isIntersecting && target instanceof HTMLElement) setTimeout(() => arrive(target), settleMs);
    }
  },
  { rootMargin: near },
);

const leaving = new IntersectionObserver(
  (seen) => {
    for (const { isIntersecting, target } of seen) {
      // A window that is hidden, or changes its size, sees nothing for a moment: what is near stays.
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
/** The stamp with which a block was filled. */
const stamps = new WeakMap<Element, string>();

export function startBlocks(): void {
  onDrawn((root) => {
    for (const block of root.querySelectorAll<HTMLElement>("[data-block]")) watch(block);
  });
}

/** Fills the block now, however far away it is; for jumping to one of its rows. */
export function fill(block: HTMLElement): Promise<void> {
  return isFilled(block) ? Promise.resolve() : load(block, true);
}

function arrive(block: HTMLElement): void {
  if (!isFilled(block) && !isFar(block)) void load(block);
}

function isFilled(block: HTMLElement): boolean {
  return block.hasAttribute("data-filled");
}

function watch(block: HTMLElement): void {
  if (!watched.has(block)) {
    watched.add(block);
    if (isFilled(block)) stamps.set(block, block.dataset["stamp"] ?? "");
    arriving.observe(block);
    leaving.observe(block);
    return;
  }
  if (!isFilled(block)) return;
  // The page as a whole was drawn anew, with blocks on it that had been dropped.
  if (isFar(block)) empty(block);
  else if (stamps.get(block) !== block.dataset["stamp"]) void load(block);
}

/** @param isSought it is filled even if it is far away by then */
async function load(block: HTMLElement, isSought = false): Promise<void> {
  const { block: src, stamp = "" } = block.dataset;
  if (src === undefined || loading.has(block)) return;
  loading.add(block);
  const html = await fetchHtml(src);
  loading.delete(block);
  if (html === null) return retry(block);
  // It was scrolled past meanwhile, and is asked for again when it is near again.
  if (!isSought && !isFilled(block) && isFar(block)) return;
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

/** A block that could not be had is asked for again when it is looked at again. */
function retry(block: HTMLElement): void {
  setTimeout(() => {
    arriving.unobserve(block);
    arriving.observe(block);
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
