/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: pictures small enough for a row of a table. */
import type { SliceCounts } from "../../core/stats/stats.ts";
import { shareText } from "./axis.ts";

/** A small picture of how many runs there were over time; what it says in words stands beside it. */
export function Sparkline({ slices, label }: { readonly slices: readonly SliceCounts[]; readonly label: string }) {
  const [wide, tall] = [120, 28];
  const top = Math.max(1, ...slices.map(total));
  const step = wide / Math.max(slices.length, 1);
  return (
    <svg class="spark" width={wide} height={tall} viewBox={`0 0 ${wide} ${tall}`} role="img" aria-label={label}>
      <line class="grid" x1={0} x2={wide} y1={tall - 0.5} y2={tall - 0.5} />
      {slices.map((slice, index) => {
        const bars = [
          { name: "completed", tall: ((total(slice) - slice.failed) / top) * (tall - 1) },
          { name: "failed", tall: (slice.failed / top) * (tall - 1) },
        ];
        let y = tall - 1;
        return bars.map(({ name, tall }) => {
          if (tall === 0) return null;
          const high = Math.max(tall, 1.5);
          y -= high;
          return (
            <rect
              class={`tone-${name}`}
              x={round(index * step)}
              y={round(y)}
              width={round(Math.max(step - 1, 1))}
              height={round(high)}
            />
          );
        });
      })}
    </svg>
  );
}

/** A share as a bar with its number. `tone` is the class of its colour. */
export function Ratio({
  share,
  tone,
  label,
}: {
  readonly share: number | null;
  readonly tone: string;
  readonly label?: string;
}) {
  if (share === null) return <span class="ratio">{label ?? shareText(share)}</span>;
  const wide = share > 0 ? Math.max(share * 100, 1.5) : 0;
  return (
    <span class="ratio">
      <svg class="ratio-bar" width="64" height="6" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
        <rect class="ratio-whole" width="100" height="6" rx="3" />
        <rect class={`tone-${tone}`} width={round(wide)} height="6" rx="3" />
      </svg>
      <span>{label ?? shareText(share)}</span>
    </span>
  );
}

export function total({ completed, failed, cancelled, open }: SliceCounts): number {
  return completed + failed + cancelled + open;
}

function round(length: number): number {
  return Math.round(length * 100) / 100;
}
