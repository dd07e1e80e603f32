/**
 * The shape of a value: its structure without its data. Keys of plain objects are shown; everything else is shown as its type
 * and its size class. So secrets must not be keys. A shape is never accepted as input.
 */

/** A shape as JSON: an object with the same keys, a list with its size and the shapes of its items, anything else as words. */
export type Outline = string | readonly Outline[] | { readonly [key: string]: Outline };

/** Replaces a value that may not be shown. */
export class Shape {
  readonly outline: Outline;

  constructor(outline: Outline) {
    this.outline = outline;
  }
}

/** The size classes: sizes are rounded up to the next of these. */
const classes: readonly number[] = [16, 256, 4096, 65_536, 1_048_576];
const maxKeys = 100;
/** Longer keys are hardly names of fields, and not shown. */
const maxKey = 64;
/** How many items of a list are looked at, and how many different shapes of them are shown. */
const maxItems = 100;
const maxItemShapes = 4;
const maxDepth = 16;
const maxNodes = 2000;

/** The shape of a value; never more than some hundred kilobytes. Values that contain themselves end in `…`. */
export function outlineOf(value: unknown): Outline {
  return outline(value, 0, { left: maxNodes });
}

type Budget = { left: number };

function outline(value: unknown, depth: number, budget: Budget): Outline {
  budget.left -= 1;
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (typeof value === "string") return sized("text", value.length, "characters");
  if (typeof value !== "object") return typeof value;
  if (depth >= maxDepth || budget.left <= 0) return "…";
  if (Array.isArray(value)) return listOutline(value, depth, budget);
  const type = Object.prototype.toString.call(value).slice(8, -1);
  if (value instanceof Map || value instanceof Set) return sized(type, value.size, "items");
  if (value instanceof Error) return "Error";
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return sized(type, value.byteLength, "bytes");
  return type === "Object" ? fieldsOutline(value, depth, budget) : type;
}

/** The size of a list, then the different shapes of its first items. */
function listOutline(items: readonly unknown[], depth: number, budget: Budget): Outline {
  const shapes = new Map<string, Outline>();
  for (const item of items.slice(0, maxItems)) {
    if (shapes.size === maxItemShapes) break;
    const each = outline(item, depth + 1, budget);
    shapes.set(JSON.stringify(each), each);
  }
  return [sized("list", items.length, "items"), ...shapes.values()];
}

function fieldsOutline(value: object, depth: number, budget: Budget): Outline {
  const keys = Object.keys(value);
  const known = keys.slice(0, maxKeys).filter((key) => key.length <= maxKey && key !== "__proto__");
  const fields = known.map((key): [string, Outline] => {
    return [key, outline((value as Record<string, unknown>)[key], depth + 1, budget)];
  });
  const others = keys.length - known.length;
  return Object.fromEntries(others === 0 ? fields : [...fields, ["…", sized("others", others, "fields")]]);
}

/** `text, up to 256 characters` */
function sized(type: string, size: number, unit: string): string {
  if (size === 0) return `${type}, empty`;
  const limit = classes.find((each) => size <= each);
  return limit === undefined ? `${type}, over ${classes.at(-1)} ${unit}` : `${type}, up to ${limit} ${unit}`;
}
