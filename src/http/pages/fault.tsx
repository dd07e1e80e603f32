/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: errors on a page: message, code, stack, what caused them, and how one differs from the one before. */
import type { StoredError } from "../../core/error.ts";
import { diffLines } from "./diff.ts";

const maxMembers = 20;
/** So many of them are shown without being asked for. */
const maxOpen = 3;
/** Characters of a message that are shown without being asked for, and at all. */
const longMessage = 600;
const maxMessage = 20_000;

/** Called a fault, to distinguish it from an error of the page itself. */
export function Fault({ error }: { readonly error: StoredError }) {
  const causes = causesOf(error);
  const [between, [last]] = [causes.slice(0, -1), causes.slice(-1)];
  return (
    <div class="fault">
      <Own error={error} />
      {between.length < 2 ? (
        between.map(drawCause)
      ) : (
        <details class="stack-of fault-more">
          <summary>{between.length} causes between</summary>
          {between.map(drawCause)}
        </details>
      )}
      {last === undefined ? null : drawCause(last)}
    </div>
  );
}

/** A cause, and the child run that it happened in, if any. */
type Cause = { readonly error: StoredError; readonly run: string | undefined };

/** The last is the root, unless there were more than are kept. */
function causesOf({ cause, child }: StoredError, run = child): Cause[] {
  return cause === undefined ? [] : [{ error: cause, run }, ...causesOf(cause, cause.child ?? run)];
}

function drawCause({ error, run }: Cause) {
  return (
    <div class="fault-inner">
      <p class="label">
        Caused by{" "}
        {run === undefined ? null : (
          <>
            run <a href={`/runs/${encodeURIComponent(run)}`}>{run}</a>
          </>
        )}
      </p>
      <Own error={error} />
    </div>
  );
}

/** An error without what caused it. */
function Own({ error }: { readonly error: StoredError }) {
  const { name, message, code, stack, errors = [], undone = [], notUndone = [] } = error;
  const isLong = message.length > longMessage;
  return (
    <>
      <p class="fault-message">
        <strong>{name}</strong> {code === undefined ? null : <code class="tag">{code}</code>}
        <span class="fault-text">{cut(message, longMessage)}</span>
      </p>
      {isLong ? (
        <details class="stack-of">
          <summary>All {message.length} characters</summary>
          <pre tabindex={0}>{cut(message, maxMessage)}</pre>
        </details>
      ) : null}
      {undone.length === 0 ? null : <p class="faint">Undone before it ended: {undone.join(", ")}</p>}
      {notUndone.map(({ step, message: why }) => (
        <p class="faint">
          {step} was not undone: {cut(why, longMessage)}
        </p>
      ))}
      {stack === undefined ? null : (
        <details class="stack-of">
          <summary>Stack</summary>
          <pre tabindex={0}>{stack}</pre>
        </details>
      )}
      <Members errors={errors} />
    </>
  );
}

type MembersProps = { readonly errors: NonNullable<StoredError["errors"]> };

/** Errors of the items of a map, of which the first few say enough: the timeline below must not be far away. */
function Members({ errors }: MembersProps) {
  const [first, others] = [errors.slice(0, maxOpen), errors.slice(maxOpen, maxMembers)];
  const draw = (member: (typeof errors)[number]) => (
    <div class="fault-inner">
      <p class="label">{member.index === undefined ? "One of them" : `Item ${member.index}`}</p>
      <Fault error={member} />
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
export function textOf(error: StoredError): string {
  const { name, message, code, stack, cause } = error;
  // A stack begins with name and message again.
  const frames = stack === undefined ? [] : stack.split("\n").filter((line) => /^\s+at /.test(line));
  const own = [`${name}: ${message}`, ...(code === undefined ? [] : [`code: ${code}`]), ...frames];
  const inner = cause === undefined ? [] : ["caused by", textOf(cause)];
  return [...own, ...inner].join("\n");
}

function cut(message: string, most: number): string {
  return message.length > most ? `${message.slice(0, most)}…` : message;
}
