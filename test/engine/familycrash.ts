/** The crash property of a run and its children: what must hold for each of them, and between them. */
import { expect } from "vitest";
import { goneError } from "../../src/core/lifecycle/child.ts";
import type { Entry } from "../../src/core/history/entry.ts";
import { FaultyFamily } from "./faultyfamily.ts";
import type { Family } from "./family.ts";
import type { FamilyProgram } from "./familyprogram.ts";
import { checkLives, isRestart } from "./lives.ts";
import { checkProcesses, checkPublished } from "./processes.ts";

/** The program, with what comes upon it, and all that must hold then. */
export async function checkFamilyProgram(program: FamilyProgram): Promise<number> {
  const faulty = new FaultyFamily(program);
  await faulty.play();
  const { family, lived, buried } = faulty;
  const present = [...family.archives].map(([id, archive]) => ({ archive, processes: lived.get(id) ?? [] }));
  const gone = family.deleted.map(({ archive }, i) => ({ archive, processes: buried[i] ?? [] }));
  for (const { archive, processes } of [...present, ...gone]) {
    checkLives(archive.lives);
    checkNews(family, archive.entries, program.lost > 0);
    checkTold(family, archive.entries);
    checkProcesses(archive.entries, processes);
    const last = processes.at(-1);
    if (last !== undefined) checkPublished(archive.lives, last.life, last.run);
  }
  for (const [id, visitor] of faulty.visitors) visitor.check(family.archives.get(id)?.entries ?? []);
  for (const [id, times] of family.made) expect({ id, times }).toEqual({ id, times: 1 });
  return family.lives;
}

/** Of a child's end its parent hears what the child has on record, and soon. */
function checkNews(family: Family, entries: readonly Entry[], isLossy: boolean): void {
  const copied = copiedOf(entries);
  for (const entry of entries) {
    if ((entry.kind !== "child.completed" && entry.kind !== "child.failed") || entry.child === undefined) continue;
    // A fork may have been given another end of it.
    if (entry.seq <= copied && entry.kind === "child.completed") continue;
    if (entry.kind === "child.failed" && entry.left === true) continue;
    const { id } = entry.child;
    const history = family.histories(id).flatMap(({ entries: all }) => all);
    const isDeleted = family.deleted.some((one) => one.id === id);
    const ends = history.filter(({ kind }) => {
      return entry.kind === "child.completed" ? kind === "run.completed" : /^run\.(failed|cancelled)$/.test(kind);
    });
    const told = JSON.stringify(entry.kind === "child.completed" ? entry.output : entry.error.cause?.message);
    const own = ends.map((end) =>
      JSON.stringify("output" in end ? end.output : "error" in end ? end.error?.message : null),
    );
    if (isDeleted) own.push(JSON.stringify(goneError.message));
    else if (!isLossy) checkPrompt(entry, entries, history);
    expect({ id, own }).toEqual({ id, own: expect.arrayContaining([told]) });
  }
}

/** Up to which of its entries a fork has them from elsewhere. */
function copiedOf([created]: readonly Entry[]): number {
  return created?.kind === "run.created" ? (created.fork?.upTo ?? 0) : 0;
}

/** A signal that was sent has got there. */
function checkTold(family: Family, entries: readonly Entry[]): void {
  const copied = copiedOf(entries);
  for (const entry of entries) {
    // A fork may have been given that it was sent.
    if (entry.kind !== "step.completed" || entry.seq <= copied) continue;
    const to = /^signal \w+ to ([^#]+)/.exec(entry.step)?.[1];
    if (to === undefined) continue;
    const keys = family.histories(to).flatMap(({ entries: all }) => {
      return all.flatMap((each) => (each.kind === "signal.received" ? [decodeURIComponent(each.key ?? "")] : []));
    });
    const { step } = entry;
    expect({ step, keys, isThere: keys.some((key) => key.endsWith(`:${step}`)) }).toMatchObject({ isThere: true });
  }
}

/** Nobody had to ask but as it went on, where neither began anew and no call between them was lost. */
function checkPrompt(heard: Entry, entries: readonly Entry[], child: readonly Entry[]): void {
  const [[created], [own]] = [child, entries];
  if (created?.kind !== "run.created" || own?.kind !== "run.created") return;
  // Whoever found it there asks.
  if (created.parent?.id !== own.id || !("step" in heard) || created.reply?.step !== heard.step) return;
  if ([...entries, ...child].some(isRestart)) return;
  // From when on it could be heard: the run waited for it, and was not over.
  const end = child.findLast(({ kind, at }) => /^run\.(completed|failed|cancelled)$/.test(kind) && at <= heard.at);
  const since = entries.findLast((entry) => {
    const isWaited = entry.kind === "child.started" && entry.step === heard.step;
    return entry.seq < heard.seq && (isWaited || entry.kind === "run.retried" || entry.kind === "run.resumed");
  });
  const lateMs = heard.at - Math.max(end?.at ?? heard.at, since?.at ?? 0);
  if (lateMs > 120_000) expect({ lateMs, child, heard }).toEqual({});
}
