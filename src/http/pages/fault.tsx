/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: errors on a page: message, code, stack, what caused them, and how one differs from the one before. */
import type { StoredError } from "../../core/error.ts";
import { diffLines } from "./diff.ts";

const maxDepth = 8;
const maxMembers = 20;
/** So many of them are shown without being asked for. */
const maxOpen = 3;
const maxMessage = 4000;

type FaultProps = { readonly error: StoredError; readonly depth?: number };

/** Called a fault, to distinguish it from an error of the page itself. */
export function Fault({ error, depth = 0 }: FaultProps) {
  const { name, message, code, stack, cause, errors = [], undone = [], notUndone = [] } = error;
  return (
    <div class="fault">
      <p class="fault-message">
        <strong>{name}</strong> {code === undefined ? null : <code class="tag">{code}</code>}
        <span class="fault-text">{cut(message)}</span>
      </p>
      {undone.length === 0 ? null : <p class="faint">Undone before it ended: {undone.join(", ")}</p>}
      {notUndone.map(({ step, message: why }) => (
        <p class="faint">
          {step} was not undone: {cut(why)}
        </p>
      ))}
      {stack === undefined ? null : (
        <details class="stack-of">
          <summary>Stack</summary>
          <pre tabindex={0}>{stack}</pre>
        </details>
      )}
      <Members errors={errors} depth={depth} />
      {cause === undefined || depth >= maxDepth ? null : (
        <div class="fault-inner">
          <p class="label">Caused by</p>
          <Fault error={cause} depth={depth + 1} />
        </div>
      )}
    </div>
  );
}

type MembersProps = { readonly errors: NonNullable<StoredError["errors"]>; readonly depth: number };

/** Errors of the items of a map, of which the first few say enough: the timeline below must not be far away. */
function Members({ errors, depth }: MembersProps) {
  const [first, others] = [errors.slice(0, maxOpen), errors.slice(maxOpen, maxMembers)];
  const draw = (member: (typeof errors)[number]) => (
    <div class="fault-inner">
      <p class="label">{member.index === undefined ? "One of them" : `Item ${member.index}`}</p>
      <Fault error={member} depth={depth + 1} />
    </div>
  );
  return (
    <>
      {first.map(draw)}
      {others.length === 0 ? null : (
        <details class="stack-of fault-more">
          <summary>{others.length} more</summary>
          {others.map(draw)}
        </details>
      )}
      {errors.length > maxMembers ? <p class="faint">… {errors.length - maxMembers} more</p> : null}
    </>
  );
}

/** How this error differs from that of the attempt before; null where it does not. */
export function FaultDiff({ before, after }: { readonly before: StoredError; readonly after: StoredError }) {
  const lines = diffLines(textOf(before), textOf(after));
  if (lines.every(({ kind }) => kind === "same")) return <p class="faint">The same error as in the attempt before.</p>;
  return (
    <details class="diff-of" open>
      <summary>What differs from the attempt before</summary>
      <pre class="diff" tabindex={0} role="group" aria-label="Differences from the attempt before">
        {lines.map(({ kind, text }) => (
          <span class={`line is-${kind}`}>
            <span class="sign">{signs[kind]}</span>
            {text}
            {"\n"}
          </span>
        ))}
      </pre>
    </details>
  );
}

const signs = { same: "  ", removed: "− ", added: "+ " } as const;

/** Message, code and stack, and those of what caused it. */
function textOf(error: StoredError, depth = 0): string {
  const { name, message, code, stack, cause } = error;
  // A stack begins with name and message again.
  const frames = stack === undefined ? [] : stack.split("\n").filter((line) => /^\s+at /.test(line));
  const own = [`${name}: ${message}`, ...(code === undefined ? [] : [`code: ${code}`]), ...frames];
  const inner = cause === undefined || depth >= maxDepth ? [] : ["caused by", textOf(cause, depth + 1)];
  return [...own, ...inner].join("\n");
}

function cut(message: string): string {
  return message.length > maxMessage ? `${message.slice(0, maxMessage)}…` : message;
}
