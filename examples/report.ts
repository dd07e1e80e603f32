/** A report on a schedule: every working day at seven in Amsterdam, summer and winter. */
import { defineWorkflow } from "holdfast";
import * as z from "zod";
import { mail } from "./mail.ts";
import { settings } from "./settings.ts";

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
    // The nominal time of the firing, not the moment it got round to running: a late report covers the same day.
    const untilAt = step.info.schedule?.at ?? step.info.startedAt;
    const counted = await step.run("count", () => countMail(untilAt - dayMs, untilAt));
    await step.run("mail-report", (context) =>
      mail().send({ to: input.to, subject: `Report for ${dayOf(untilAt)}`, text: reportText(counted) }, context),
    );
    return { day: dayOf(untilAt), ...counted };
  },
});

/** What this example has to count: the mails of the development outbox. Yours would ask a database. */
async function countMail(sinceAt: number, untilAt: number): Promise<{ mails: number; recipients: number }> {
  const { OUTBOX } = settings();
  return OUTBOX === undefined ? { mails: 0, recipients: 0 } : await OUTBOX.getByName("outbox").count(sinceAt, untilAt);
}

function reportText(counted: { mails: number; recipients: number }): string {
  return `In the last 24 hours ${counted.mails} mails went to ${counted.recipients} recipients.`;
}

function dayOf(at: number): string {
  return new Intl.DateTimeFormat("en-CA", { timeZone: "Europe/Amsterdam" }).format(at);
}
