/**
 * Owns: updating the page to the server's new version with as few changes as possible. Elements are matched by `id` or
 * `data-key`. Open dialogs and the field that has the focus are not touched.
 */

/** Changes `from` in place so that it equals `to`. */
export function morph(from: Element, to: Element): void {
  if (isProtected(from, to)) return;
  const isBlock = from.hasAttribute("data-block");
  const keepsRows = isBlock && from.hasAttribute("data-filled") && !to.hasAttribute("data-filled");
  patchAttributes(from, to, keepsRows);
  if (!keepsRows) patchChildren(from, to);
}

/** Whether the element is in use, or was written by this script, and so must not be changed. */
function isProtected(from: Element, to: Element): boolean {
  if (from.hasAttribute("data-keep")) return true;
  if (from instanceof HTMLDialogElement && from.open) return true;
  if (from instanceof HTMLTimeElement && to instanceof HTMLTimeElement) {
    return from.dateTime === to.dateTime && from.dataset["form"] === to.dataset["form"];
  }
  return from === document.activeElement && isField(from);
}

function isField(element: Element): boolean {
  return /^(?:INPUT|TEXTAREA|SELECT)$/.test(element.tagName);
}

/** Whether the browser or this script sets the attribute, and not the server. */
function isClientSide(name: string): boolean {
  return name === "open" || name === "style" || name.startsWith("data-ui-");
}

function patchAttributes(from: Element, to: Element, keepsRows: boolean): void {
  for (const { name } of [...from.attributes]) {
    if (isClientSide(name) || to.hasAttribute(name) || (keepsRows && name === "data-filled")) continue;
    from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) {
    if (!isClientSide(name) && from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
}

function keyOf(node: Node): string | null {
  if (!(node instanceof Element)) return null;
  const key = node.getAttribute("data-key") ?? node.id;
  return key === "" ? null : key;
}

function patchChildren(from: Element, to: Element): void {
  const keyed = new Map<string, Element>();
  for (const child of from.children) {
    const key = keyOf(child);
    if (key !== null) keyed.set(key, child);
  }
  const wanted = new Set([...to.children].flatMap((child) => keyOf(child) ?? []));
  let at = from.firstChild;
  for (const next of [...to.childNodes]) {
    // Removed before the rest is matched, so that the elements after it need not be moved.
    while (at !== null && isGone(at, wanted)) at = discard(at);
    const match = matchOf(next, at, keyed);
    if (match === null) {
      from.insertBefore(entering(next, from), at);
    } else {
      if (match === at) at = at.nextSibling;
      else from.insertBefore(match, at);
      patchNode(match, next);
    }
  }
  while (at !== null) at = discard(at);
}

function isGone(node: Node, wanted: ReadonlySet<string>): boolean {
  const key = keyOf(node);
  return key !== null && !wanted.has(key) && !(node instanceof HTMLDialogElement && node.open);
}

/** @returns the node after it */
function discard(node: Node): ChildNode | null {
  const next = node.nextSibling;
  if (!(node instanceof HTMLDialogElement && node.open)) node.parentNode?.removeChild(node);
  return next;
}

/** The node to change into `next`: the one with its key, or without a key the node at this place, if the tag is the same. */
function matchOf(next: Node, at: Node | null, keyed: ReadonlyMap<string, Element>): ChildNode | null {
  const key = keyOf(next);
  if (key !== null) {
    const match = keyed.get(key);
    return match?.nodeName === next.nodeName ? match : null;
  }
  if (at === null || keyOf(at) !== null || at.nodeName !== next.nodeName) return null;
  return at as ChildNode;
}

function patchNode(from: Node, to: Node): void {
  if (from instanceof Element && to instanceof Element) morph(from, to);
  else if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
}

/** A copy of the node to insert; a new row is marked, for a short animation. */
function entering(node: Node, into: Element): Node {
  const copy = document.importNode(node, true);
  if (copy instanceof Element && copy.hasAttribute("data-row") && into.childElementCount > 0) {
    copy.setAttribute("data-ui-fresh", "");
  }
  return copy;
}
