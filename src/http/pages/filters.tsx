/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/**
 * Owns: the form that filters runs. It works without the script; with it, instants are the reader's own and empty fields
 * stay out of the address.
 */
import { FormField } from "./field.tsx";
import { queryOf } from "./filter.ts";
import type { FilterParameters } from "./filter.ts";
import { Icon } from "./icon.tsx";
import { windows } from "./window.tsx";

type FormProps = { readonly parameters: FilterParameters; readonly workflows: readonly string[] };

export function FilterForm({ parameters, workflows }: FormProps) {
  const isFiltered = [...parameters.keys()].some((name) => name !== "cursor");
  const [status, cause] = [parameters.get("status"), parameters.get("cause")];
  return (
    <search>
      <form class="filters" action="/" method="get" data-filters data-keep>
        {status === undefined ? null : <input type="hidden" name="status" value={status} />}
        {cause === undefined ? null : <input type="hidden" name="cause" value={cause} />}
        <label class="find">
          <span class="sr">Id begins with</span>
          <Icon sign="search" />
          <input
            name="idPrefix"
            value={parameters.get("idPrefix") ?? ""}
            placeholder="Id begins with …"
            maxlength={256}
            autocomplete="off"
            spellcheck={false}
            data-filter
          />
        </label>
        <WorkflowField names={workflows} chosen={parameters.get("workflow")} />
        <RareFilters parameters={parameters} />
        <button type="submit" class="button plain">
          Filter
        </button>
        {isFiltered ? (
          <a class="button plain" href="/">
            Clear
          </a>
        ) : null}
      </form>
    </search>
  );
}

function RareFilters({ parameters }: { readonly parameters: FilterParameters }) {
  const labels = [...parameters].filter(([name]) => name.startsWith("label."));
  const rare = ["errorCode", "createdAfter", "createdBefore"].some((name) => parameters.has(name)) || labels.length > 0;
  return (
    <details class="more-filters" open={rare}>
      <summary class="button plain">
        <span>More filters</span>
        <Icon sign="down" />
      </summary>
      <div>
        {labels.map(([name, value]) => (
          <span class="tag label-chosen">
            <input type="hidden" name={name} value={value} />
            {name.slice(6)}={value}{" "}
            <a href={`/${queryOf(parameters, { [name]: null })}`} aria-label={`Without the label ${name.slice(6)}`}>
              <Icon sign="close" />
            </a>
          </span>
        ))}
        <Recent parameters={parameters} />
        <FormField label="Label">
          <input name="label" placeholder="key=value" pattern="[^=]+=.*" autocomplete="off" spellcheck={false} />
        </FormField>
        <FormField label="Error code">
          <input
            name="errorCode"
            value={parameters.get("errorCode") ?? ""}
            placeholder="step_failed"
            maxlength={256}
            spellcheck={false}
          />
        </FormField>
        <InstantField name="createdAfter" label="Created from" value={parameters.get("createdAfter")} />
        <InstantField name="createdBefore" label="Created before" value={parameters.get("createdBefore")} />
      </div>
    </details>
  );
}

/** Whole minutes, so that the address does not change with every look. */
const minuteMs = 60_000;

function Recent({ parameters }: { readonly parameters: FilterParameters }) {
  const now = Math.floor(Date.now() / minuteMs) * minuteMs;
  return (
    <div class="recent">
      <span id="recent">Created in the last</span>
      <nav class="segments" aria-labelledby="recent">
        {windows.map(({ short, ms }) => {
          const span = { createdAfter: new Date(now - ms).toISOString(), createdBefore: null };
          return <a href={`/${queryOf(parameters, span)}`}>{short}</a>;
        })}
      </nav>
    </div>
  );
}

function WorkflowField({ names, chosen }: { readonly names: readonly string[]; readonly chosen: string | undefined }) {
  // A workflow of which only runs are left is none of this deployment's.
  const all = chosen === undefined || names.includes(chosen) ? names : [...names, chosen];
  return (
    <label class="pick">
      <span class="sr">Workflow</span>
      <select name="workflow">
        <option value="">Any workflow</option>
        {all.map((name) => (
          <option value={name} selected={name === chosen}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

type InstantProps = { readonly name: string; readonly label: string; readonly value: string | undefined };

/** In UTC, until the script has turned it into the reader's own time. */
function InstantField({ name, label, value }: InstantProps) {
  const at = value === undefined ? Number.NaN : Date.parse(value.replace(" ", "+"));
  const given = Number.isNaN(at) ? {} : { value: new Date(at).toISOString().slice(0, 19), "data-at": String(at) };
  return (
    <FormField label={label}>
      <input type="datetime-local" step="1" name={name} {...given} />
    </FormField>
  );
}
