/** One file of the tree as the house rules see it: its text, its imports, its comments, its nodes. */
import { parseSync } from "oxc-parser";

export type Node = {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
};

export type Source = {
  /** From the root of the repository, with slashes. */
  readonly path: string;
  readonly text: string;
  readonly comments: readonly { readonly value: string; readonly start: number; readonly end: number }[];
  readonly nodes: readonly Placed[];
  readonly imports: readonly Import[];
  /** Where the first statement begins; the length of the text where there is none. */
  readonly beginsAt: number;
};

/** A node and what it hangs on; `field` is the name under which the parent holds it. */
export type Placed = { readonly node: Node; readonly parent: Node | null; readonly field: string };

/** `path` is null for a package; otherwise the file that is meant, from the root of the repository. */
export type Import = { readonly from: string; readonly path: string | null; readonly node: Node };

/** @throws Error where the text is not TypeScript. */
export function parse(path: string, text: string): Source {
  const result = parseSync(path, text);
  const problem = result.errors[0];
  if (problem !== undefined) throw new Error(`${path}: ${problem.message}`);
  const program = result.program as unknown as Node;
  const nodes: Placed[] = [];
  collect(program, null, "", nodes);
  return {
    path,
    text,
    comments: result.comments,
    nodes,
    imports: nodes.flatMap(({ node }) => toImport(node, path)),
    beginsAt: result.program.body[0]?.start ?? text.length,
  };
}

export function lineOf(source: Source, position: number): number {
  return source.text.slice(0, position).split("\n").length;
}

function collect(node: Node, parent: Node | null, field: string, into: Placed[]): void {
  into.push({ node, parent, field });
  for (const [name, value] of Object.entries(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (isNode(child)) collect(child, node, name, into);
    }
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}

/** Every way to name another file: import, export … from, import(), and import("…") in a type. */
function toImport(node: Node, path: string): Import[] {
  const naming = [
    "ImportDeclaration",
    "ExportNamedDeclaration",
    "ExportAllDeclaration",
    "ImportExpression",
    "TSImportType",
  ];
  const source = node["source"];
  if (!naming.includes(node.type) || !isNode(source)) return [];
  const from = source["value"];
  if (typeof from !== "string") return [];
  const target = from.startsWith(".") ? new URL(from, `file:///${path}`).pathname.slice(1) : null;
  return [{ from, path: target, node }];
}
