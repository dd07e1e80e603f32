/**
 * The shape of a value: what it is made of, without what it says. Keys of plain objects are kept and everything
 * else is told by its type and its size class, so whatever must not be seen must not be a key. A shape is shown,
 * and never taken back: it stands for no value.
 */

/** As JSON: an object by its keys, a list by its size and the shapes of its items, anything else as words. */
export type Outline = string | readonly Outline[] | { readonly [key: string]: Outline };

/** What stands where a value is not to be seen. */
export class Shape {
  readonly outline: Outline;

  constructor(outline: Outline) {
    this.outline = outline;
  }
}

/** Sizes are told up to the next of these. */
const classes: readonly number[] = [16, 256, 4096, 65_536, 1_048_576];
const maxKeys = 100;
/** A key that is longer is hardly a field's name. */
const maxKey = 64;
/** Items of a list that are looked at, and shapes of them that are told. */
const maxItems = 100;
const maxItemShapes = 4;
const maxDepth = 16;
const maxNodes = 2000;

/** Never longer than some hundred kilobytes, whatever the value. Values that contain themselves end in `…`. */
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

/** Its size, then the shapes that its first items have, each once. */
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
