/** A report on a schedule: every working day at seven in Amsterdam, summer and winter. */
import { defineWorkflow } from "holdfast";
import * as z from "zod";
import { mail } from "./mail.ts";

const dayMs = 86_400_000;

export const dailyReport = defineWorkflow("daily-report", {
  input: z.object({ to: z.email() }),
  schedule: {
    cron: "0 7 * * 1-5",
    timezone: "Europe/Amsterdam",
    input: { to: "team@example.com" },
    catchUp: "6 hours",
  },
  handler: async (input, step) => {
    // The nominal time of the firing, not the time of the run: a late report covers the same day.
    const untilAt = step.info.schedule?.at ?? step.info.startedAt;
    const counted = await step.run("count", () => countOrders(untilAt - dayMs, untilAt));
    await step.run("mail-report", (context) =>
      mail().send({ to: input.to, subject: `Report for ${dayOf(untilAt)}`, text: reportText(counted) }, context),
    );
    return { day: dayOf(untilAt), ...counted };
  },
});

/** A stand-in for the question you would ask your database: the same span always has the same answer. */
function countOrders(sinceAt: number, untilAt: number): { orders: number; totalCents: number } {
  const orders = 20 + (Math.floor((sinceAt + untilAt) / dayMs) % 17);
  return { orders, totalCents: orders * 8990 };
}

function reportText({ orders, totalCents }: ReturnType<typeof countOrders>): string {
  return `In the last 24 hours ${orders} orders of EUR ${(totalCents / 100).toFixed(2)} in all were placed.`;
}

function dayOf(at: number): string {
  return new Intl.DateTimeFormat("en-CA", { timeZone: "Europe/Amsterdam" }).format(at);
}
