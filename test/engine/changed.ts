/** Random workflows whose code is changed under a run, and changed back: what of a history new code can do without it leaves as it is. */
import { expect } from "vitest";
import { finish, hostProgram } from "./crash.ts";
import type { Hosted } from "./crash.ts";
import { checkEffects } from "./effects.ts";
import { startAt } from "./host.ts";
import { checkLives } from "./lives.ts";
import { checkProcesses } from "./processes.ts";
import { WideMaker } from "./program.ts";
import type { Node, Program } from "./program.ts";

type Below = (limit: number) => number;

/** The same workflow with up to three calls more, fewer, or in another place, or out of a race. */
function changed(program: Program, below: Below): Program {
  const maker = new WideMaker(below, true);
  let { body } = program;
  for (let times = 1 + below(3); times > 0; times--) body = change(body, below, () => maker.node(1, false));
  return { ...program, deployment: "two", body };
}

/** The same with up to three changes, each behind a patch of its own. */
function patched(program: Program, below: Below): Program {
  const maker = new WideMaker(below, true);
  let { body } = program;
  for (let times = 1 + below(3); times > 0; times--) {
    body = patch(body, below, (was) => ({ t: "patch", id: `change ${times}`, was, is: anew(was, below, maker) }));
  }
  return { ...program, deployment: "two", body };
}

/** Another call in its place, none, or one before or behind it. */
function anew(was: Node, below: Below, maker: WideMaker): Node {
  const fresh = maker.node(1, false);
  const nodes = [[fresh], [], [fresh, was], [was, fresh]][below(4)] ?? [];
  return { t: "seq", nodes };
}

/** Wraps one of the nodes. */
function patch(node: Node, below: Below, wrap: (was: Node) => Node): Node {
  if (below(4) === 0) return wrap(node);
  switch (node.t) {
    case "seq":
    case "par":
    case "contest": {
      const at = below(node.nodes.length);
      return { ...node, nodes: node.nodes.map((each, i) => (i === at ? patch(each, below, wrap) : each)) };
    }
    case "loop":
    case "try":
      return { ...node, body: patch(node.body, below, wrap) };
    case "patch":
      return { ...node, was: patch(node.was, below, wrap) };
    default:
      return wrap(node);
  }
}

function change(node: Node, below: Below, fresh: () => Node): Node {
  switch (node.t) {
    case "seq":
    case "par":
      return { ...node, nodes: changeOne(node.nodes, below, fresh) };
    case "loop":
    case "try":
      return { ...node, body: change(node.body, below, fresh) };
    case "contest":
      // What raced is now waited for by itself.
      return node.nodes[below(node.nodes.length)] ?? fresh();
    default:
      return fresh();
  }
}

function changeOne(before: readonly Node[], below: Below, fresh: () => Node): Node[] {
  const nodes = [...before];
  const at = below(nodes.length);
  const [one] = nodes.splice(at, 1);
  switch (one === undefined ? 1 : below(5)) {
    case 0:
      return nodes.length > 0 ? nodes : [fresh()];
    case 1:
      return nodes.toSpliced(at, 0, fresh(), ...(one === undefined ? [] : [one]));
    case 2:
      return one === undefined ? nodes : [...nodes, one];
    default:
      return one === undefined ? nodes : nodes.toSpliced(at, 0, change(one, below, fresh));
  }
}

/** A life with the one code, some with another, and the last one with the first again. */
export async function checkChanges(program: Program, below: Below): Promise<void> {
  const other = changed(program, below);
  await live(program, below, (lives) => (lives < 3 ? other : program));
}

/**
 * A life with the one code, and all others with changes that `patched` guards: none is marked, what was seen is seen
 * again, and no name is of another kind (guarantee 7).
 */
export async function checkPatches(program: Program, below: Below): Promise<void> {
  const other = patched(program, below);
  const lived = await live(program, below, () => other);
  const { entries } = lived.at(-1)?.archive ?? { entries: [] };
  const processes = lived.map(({ life, earlier, questions, host: { journal } }) => {
    return { life, earlier, questions, journal };
  });
  checkProcesses(entries, processes);
  const marks = entries.filter((entry) => {
    const isRetried = entry.kind === "step.removed" && entry.retried === true;
    return /^step\.(added|removed)$/.test(entry.kind) && !isRetried;
  });
  expect(marks).toEqual([]);
  expect(entries.filter((entry) => entry.kind === "run.paused" && entry.error?.code === "step_kind_changed")).toEqual(
    [],
  );
}

/** Its lives, each but the last cut off by a death, with the code for each after the first. */
async function live(program: Program, below: Below, codeOf: (lives: number) => Program): Promise<Hosted[]> {
  const lived: Hosted[] = [];
  let hosted = hostProgram(program, [], startAt);
  for (let lives = 1; ; lives++) {
    lived.push(hosted);
    if (lives < 4) dieLater(hosted, 1 + below(8));
    await finish(hosted, lives > 1);
    check(hosted);
    const { archive, host, couriers } = hosted;
    if (!host.dead) break;
    const commits = archive.writes.at(-1)?.commits ?? [];
    const code = codeOf(lives);
    hosted = hostProgram(code, commits, host.clock.at + below(3) * 1000, true, archive.writes, couriers.known);
  }
  checkLives(hosted.archive.lives);
  expect(hosted.host.status).toMatch(/^(completed|failed|cancelled)$/);
  return lived;
}

/** Its process dies so many writes later. */
function dieLater({ host, archive: { writes } }: Hosted, more: number): void {
  const dieAt = writes.length + more;
  const { onAppend } = host.journal;
  host.journal.onAppend = (entries) => {
    onAppend?.(entries);
    if (writes.length >= dieAt) host.dead = true;
  };
}

/** Whichever code runs: what is on record as done is not done again. */
function check({ archive, life, earlier }: Hosted): void {
  const effects = life.effects.filter(({ outcome }) => outcome < Infinity);
  checkEffects(archive.entries, effects, earlier);
}
