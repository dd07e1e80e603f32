/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: a JSON Schema for people: the fields of a value, and the schema itself, folded, below. */
import { kindOf } from "../../core/form/field.ts";
import type { Field, Member } from "../../core/form/field.ts";
import { fieldOf } from "../../core/form/form.ts";

const maxDepth = 6;

export function SchemaView({ schema, id }: { readonly schema: object | null; readonly id: string }) {
  if (schema === null) return <p class="faint">Any JSON: there is no schema, or its validator cannot write it down.</p>;
  const field = fieldOf(schema);
  return (
    <div class="schema" id={id}>
      {field.description === undefined ? null : <p>{field.description}</p>}
      {field.kind === "object" ? null : <p class="schema-kind">{kindOf(field)}</p>}
      <Inside field={field} depth={0} />
      <details class="schema-json">
        <summary>JSON Schema</summary>
        <pre tabindex={0}>{JSON.stringify(schema, null, 2)}</pre>
      </details>
    </div>
  );
}

type InsideProps = { readonly field: Field; readonly depth: number };

/** What there is in it; nothing where a kind says all. */
function Inside({ field, depth }: InsideProps) {
  if (depth > maxDepth) return null;
  switch (field.kind) {
    case "object":
      return (
        <>
          {field.members.length === 0 ? null : <Members members={field.members} depth={depth} />}
          {field.others === null || field.members.length === 0 ? null : (
            <p class="schema-kind">further names with {kindOf(field.others)}</p>
          )}
          {field.others === null ? null : <Inside field={field.others} depth={depth + 1} />}
        </>
      );
    case "list":
      return <Inside field={field.item} depth={depth} />;
    case "tuple":
      return (
        <Members
          members={field.items.map((item, index) => ({ name: `${index + 1}`, field: item, required: true }))}
          depth={depth}
        />
      );
    case "variants":
      return (
        <ul class="schema-variants">
          {field.variants.map(({ label, field }) => (
            <li>
              <span class="tag">{label}</span>
              <Inside field={field} depth={depth + 1} />
            </li>
          ))}
        </ul>
      );
    default:
      return null;
  }
}

function Members({ members, depth }: { readonly members: readonly Member[]; readonly depth: number }) {
  return (
    <dl class="schema-members">
      {members.map(({ name, field, required }) => (
        <div>
          <dt>
            <code>{name}</code>
            {required ? null : <span class="form-tag">optional</span>}
          </dt>
          <dd>
            <span class="schema-kind">{kindOf(field)}</span>
            {field.initial === undefined ? null : (
              <span class="faint">
                , default <code>{JSON.stringify(field.initial)}</code>
              </span>
            )}
            {field.title === undefined && field.description === undefined ? null : (
              <p class="faint">{[field.title, field.description].filter((text) => text !== undefined).join(": ")}</p>
            )}
            <Inside field={field} depth={depth + 1} />
          </dd>
        </div>
      ))}
    </dl>
  );
}
