/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: the facts of a run: times, labels, progress, trace, usage and cost. */
import type { EntryOf } from "../../core/history/entry.ts";
import { costOf } from "../../core/run/price.ts";
import type { RunSnapshot } from "../../core/run/run.ts";
import { countText } from "./axis.ts";
import { CopyButton } from "./copy.tsx";
import { Fact } from "./fact.tsx";
import { Instant, Span } from "./instant.tsx";

type FactsProps = { readonly run: RunSnapshot; readonly created: EntryOf<"run.created"> | null };

export function Facts({ run, created }: FactsProps) {
  const { id, createdAt, startedAt, finishedAt, steps, trace } = run;
  return (
    <section class="card" aria-labelledby="facts-title" id="facts">
      <div class="card-head">
        <h2 id="facts-title">About this run</h2>
        <a class="push" href={`/v1/runs/${encodeURIComponent(id)}`}>
          As JSON
        </a>
      </div>
      <div class="card-body">
        <dl class="points">
          <Fact name="Created">
            <Instant at={createdAt} />
          </Fact>
          {created === null ? null : (
            <Fact name="By">
              {created.by}
              {created.role === undefined ? null : <span class="faint"> ({created.role})</span>}
            </Fact>
          )}
          {startedAt === null ? null : (
            <Fact name="Started">
              <Instant at={startedAt} />
            </Fact>
          )}
          {finishedAt === null ? null : (
            <Fact name="Ended">
              <Instant at={finishedAt} />
            </Fact>
          )}
          <Fact name={finishedAt === null ? "Age" : "Took"}>
            {finishedAt === null ? <Instant at={createdAt} form="since" /> : <Span ms={finishedAt - createdAt} />}
          </Fact>
          <Fact name="Steps">
            {steps.completed} completed, {steps.failed} failed, {steps.running} running
          </Fact>
          {trace === "" ? null : (
            <Fact name="Trace">
              <code>{trace.split("-")[1] ?? trace}</code>
              <CopyButton text={trace} what="the traceparent" />
            </Fact>
          )}
        </dl>
        <Cost run={run} />
      </div>
    </section>
  );
}

function Cost({ run }: { readonly run: RunSnapshot }) {
  const { rowsWritten, requests, awakeMs, bytesStored } = run.usage;
  if (requests === 0 && rowsWritten === 0) return null;
  return (
    <dl class="points cost" aria-label="What it took of the platform">
      <Fact name="Rows written">{countText(rowsWritten)}</Fact>
      <Fact name="Requests">{countText(requests)}</Fact>
      <Fact name="Awake">
        <Span ms={awakeMs} />
      </Fact>
      <Fact name="Stored">{size(bytesStored)}</Fact>
      <Fact name="At list price">{money(costOf(run.usage))}</Fact>
    </dl>
  );
}

function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} bytes`;
  return bytes < 1024 * 1024 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

/** A run costs millionths of a dollar, so the cost of a million such runs is shown. */
function money(dollars: number): string {
  return `$${(dollars * 1e6).toLocaleString("en-GB", { maximumFractionDigits: 2 })} per million such runs`;
}
