/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/**
 * Owns: values on a page, as a tree that folds. Types that JSON does not have are shown by their `$type`, as `toJson` writes
 * it. A value that is too large for a page is cut, and the page says so.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import { toJson } from "../../core/value/json.ts";
import { decode } from "../../core/value/value.ts";
import type { Stored } from "../../core/value/value.ts";
import { CopyButton } from "./copy.tsx";

const maxNodes = 1500;
const maxItems = 200;
const maxText = 20_000;
/** A text this long, or of this many lines, is folded. */
const longText = 160;
/** Up to so many fields are open at first, to this depth. */
const openItems = 12;
const openDepth = 2;
const maxDepth = 24;

type Object = Readonly<Record<string, unknown>>;
/** How many nodes may still be drawn. */
type Budget = { left: number };

/** A stored value, such as an input; null is a value like any other, and undefined is none. */
export function StoredValue({ value, id }: { readonly value: Stored; readonly id: string }) {
  const given = decode(value);
  return given === undefined ? <p class="faint">None.</p> : <Value json={toJson(given)} id={id} />;
}

type ValueProps = {
  /** What `toJson` gives. */
  readonly json: unknown;
  /** Unlike any other of the page: what is drawn anew is known by it. */
  readonly id: string;
};

export function Value({ json, id }: ValueProps) {
  const text = readable(json, 2 * maxText);
  return (
    <div class="value" id={id}>
      <div class="tree">
        <Node json={json} depth={0} budget={{ left: maxNodes }} />
      </div>
      {text === null ? null : <CopyButton text={text} what="as JSON" place="copy" />}
    </div>
  );
}

/** JSON over several lines; null if it is longer than that even on one, because its indents could exceed any memory. */
export function readable(json: unknown, longest: number): string | null {
  const text = JSON.stringify(json) ?? "null";
  return text.length > longest ? null : (JSON.stringify(json, null, 2) ?? "null");
}

type NodeProps = { readonly json: unknown; readonly depth: number; readonly budget: Budget };

function Node({ json, depth, budget }: NodeProps): JSX.Element {
  budget.left--;
  if (json === null || json === undefined) return <span class="v-none">null</span>;
  if (typeof json === "string") return <Text text={json} />;
  if (typeof json === "number") return <span class="v-number">{String(json)}</span>;
  if (typeof json === "boolean") return <span class="v-word">{String(json)}</span>;
  if (depth > maxDepth || budget.left <= 0) return <span class="v-note">… more</span>;
  if (Array.isArray(json)) return <List items={json} depth={depth} budget={budget} />;
  const { $type: type } = json as Object;
  if (typeof type === "string") return <Typed type={type} json={json as Object} depth={depth} budget={budget} />;
  return <Fields fields={Object.entries(json)} depth={depth} budget={budget} />;
}

function Text({ text }: { readonly text: string }) {
  if (text.length <= longText && !text.includes("\n")) return <span class="v-text">{JSON.stringify(text)}</span>;
  const shown = text.length > maxText ? `${text.slice(0, maxText)}…` : text;
  const first = text.split("\n", 1)[0]?.slice(0, 80) ?? "";
  return (
    <details class="v-long">
      <summary>
        <span class="v-text">{JSON.stringify(first).slice(0, -1)}…</span>
        <span class="v-note">{text.length} characters</span>
      </summary>
      <pre tabindex={0}>{shown}</pre>
    </details>
  );
}

/** A value of a type that JSON does not have: the type in front, and its value if it has one. */
function Typed({ type, json, depth, budget }: NodeProps & { readonly type: string; readonly json: Object }) {
  const { value } = json;
  // Its own fields, among which a `$type` says nothing: the text beside it need not be what such a value has.
  if (type === "Object") return <Fields fields={Object.entries(value as Object)} depth={depth} budget={budget} />;
  if (value === undefined) return <span class="v-word">{type}</span>;
  const isBytes = typeof value === "string" && /Array$|ArrayBuffer|DataView/.test(type);
  const size = isBytes ? `${Math.floor((value.replace(/=+$/, "").length * 3) / 4)} bytes` : null;
  return (
    <span>
      <span class="v-type">{type}</span> {size === null ? null : <span class="v-note">{size} </span>}
      {size === "0 bytes" ? null : typeof value === "string" && !isBytes ? (
        <span class="v-number">{value}</span>
      ) : (
        <Node json={value} depth={depth} budget={budget} />
      )}
    </span>
  );
}

function List({ items, depth, budget }: { readonly items: readonly unknown[] } & Omit<NodeProps, "json">) {
  if (items.length === 0) return <span class="v-none">[]</span>;
  const rows = items.map((item, index) => [String(index), item] as const);
  return <Folder rows={rows} summary={count(items.length, "item")} depth={depth} budget={budget} />;
}

function Fields({
  fields,
  depth,
  budget,
}: { readonly fields: readonly (readonly [string, unknown])[] } & Omit<NodeProps, "json">) {
  if (fields.length === 0) return <span class="v-none">{"{}"}</span>;
  return <Folder rows={fields} summary={count(fields.length, "field")} depth={depth} budget={budget} />;
}

type FolderProps = Omit<NodeProps, "json"> & {
  readonly rows: readonly (readonly [name: string, json: unknown])[];
  readonly summary: string;
};

function Folder({ rows, summary, depth, budget }: FolderProps) {
  const shown = rows.slice(0, maxItems);
  const list = (
    <dl>
      {shown.map(([name, json]) =>
        budget.left <= 0 ? null : (
          <div>
            <dt>{name}</dt>
            <dd>
              <Node json={json} depth={depth + 1} budget={budget} />
            </dd>
          </div>
        ),
      )}
      {rows.length > shown.length ? <div class="v-note">… {rows.length - shown.length} more</div> : null}
    </dl>
  );
  if (depth === 0 && rows.length <= openItems) return list;
  return (
    <details open={depth < openDepth && rows.length <= openItems}>
      <summary class="v-note">{summary}</summary>
      {list}
    </details>
  );
}

function count(number: number, noun: string): string {
  return number === 1 ? `1 ${noun}` : `${number} ${noun}s`;
}
