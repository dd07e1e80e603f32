/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: causes of failures, and the cause that a list is filtered by. */
import { familiesOf } from "../../core/listing/cause.ts";
import type { Family } from "../../core/listing/cause.ts";
import type { Cause } from "../../core/service/directory.ts";
import { countText } from "./axis.ts";
import { queryOf } from "./filter.ts";
import type { FilterParameters } from "./filter.ts";
import { Icon } from "./icon.tsx";
import { Instant } from "./instant.tsx";

const maxParents = 5;
const recentMs = 86_400_000;

type CausesProps = {
  readonly causes: readonly Cause[];
  readonly parameters: FilterParameters;
  readonly isOpen: boolean;
};

export function Causes({ causes, parameters, isOpen }: CausesProps) {
  if (causes.length === 0) return null;
  const families = familiesOf(causes);
  const failures = families.reduce((sum, { cause }) => sum + cause.count, 0);
  return (
    <details class="card causes" id="causes" open={isOpen}>
      <summary class="card-head">
        <Icon sign="warning" />
        <h2>
          {failures === 1 ? "1 failure" : `${countText(failures)} failures`},{" "}
          {families.length === 1 ? "1 cause" : `${families.length} causes`}
        </h2>
        <span class="faint">
          last <Instant at={Math.max(...families.map(({ cause }) => cause.lastAt))} form="ago" />
        </span>
        <Icon sign="down" />
      </summary>
      {ages(families, Date.now() - recentMs).map(({ title, of }) => (
        <>
          {title === null ? null : <h3>{title}</h3>}
          <ol>
            {of.map((family) => (
              <CauseItem family={family} parameters={parameters} />
            ))}
          </ol>
        </>
      ))}
    </details>
  );
}

type Age = { readonly title: string | null; readonly of: readonly Family[] };

/** What began lately stands first, the newest before all: a deployment may have brought it. */
function ages(families: readonly Family[], sinceAt: number): readonly Age[] {
  const fresh = families.filter(({ cause }) => cause.firstAt >= sinceAt);
  if (fresh.length === 0 || fresh.length === families.length) return [{ title: null, of: families }];
  return [
    { title: "New in the last 24 hours", of: fresh.toSorted((one, other) => other.cause.firstAt - one.cause.firstAt) },
    { title: "Known for longer", of: families.filter((family) => !fresh.includes(family)) },
  ];
}

type ItemProps = { readonly family: Family; readonly parameters: FilterParameters };

function CauseItem({ family: { cause, parents }, parameters }: ItemProps) {
  const { id, workflow, code, step, message, count, firstAt, lastAt, run } = cause;
  return (
    <li class="cause" data-key={`cause-${id}`}>
      <a
        class="cause-count"
        href={`/${queryOf(parameters, { cause: id })}`}
        aria-label={`Show the ${count} failed runs of ${workflow} like this`}
      >
        {countText(count)}
      </a>
      <div>
        <p class="cause-message">{message}</p>
        <p class="cause-place faint">
          <span>
            {workflow}
            {step === null ? "" : ` › ${step}`}
          </span>
          {code === null ? null : <code class="tag">{code}</code>}
        </p>
        {parents.length === 0 ? null : (
          <p class="cause-place faint" title="To retry a parent retries its child too">
            <span>Failed of it:</span>
            {parents.slice(0, maxParents).map((parent) => (
              <a href={`/${queryOf(parameters, { cause: parent.id })}`}>
                {parent.workflow} ({countText(parent.count)})
              </a>
            ))}
            {parents.length > maxParents ? <span>and {parents.length - maxParents} more</span> : null}
          </p>
        )}
      </div>
      <dl class="cause-times">
        <div>
          <dt>first</dt>
          <dd>
            <Instant at={firstAt} form="ago" />
          </dd>
        </div>
        <div>
          <dt>last</dt>
          <dd>
            <a href={`/runs/${encodeURIComponent(run)}`}>
              <Instant at={lastAt} form="ago" />
            </a>
          </dd>
        </div>
      </dl>
    </li>
  );
}

/** @param cause null where no run has it any more */
export function ChosenCause({
  cause,
  parameters,
}: {
  readonly cause: Cause | null;
  readonly parameters: FilterParameters;
}) {
  return (
    <p class="cause-chosen">
      <span class="faint">Failed of</span>
      {cause === null ? (
        <span class="said">a cause that no run here has any more</span>
      ) : (
        <>
          <span class="said" title={cause.message}>
            {cause.message}
          </span>
          <span class="faint place">
            {cause.workflow}
            {cause.step === null ? "" : ` › ${cause.step}`}
          </span>
        </>
      )}
      <a href={`/${queryOf(parameters, { cause: null })}`} aria-label="Without this cause">
        <Icon sign="close" />
      </a>
    </p>
  );
}
