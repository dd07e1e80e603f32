/** Random workflows whose code is changed under a run, and changed back: what of a history new code can do without it leaves as it is. */
import { expect } from "vitest";
import { finish, hostProgram } from "./crash.ts";
import type { Hosted } from "./crash.ts";
import { checkEffects } from "./effects.ts";
import { startAt } from "./host.ts";
import { checkLives } from "./lives.ts";
import { WideMaker } from "./program.ts";
import type { Node, Program } from "./program.ts";

type Below = (limit: number) => number;

/** The same workflow with up to three calls more, fewer, or in another place, or out of a race. */
function changed(program: Program, below: Below): Program {
  const maker = new WideMaker(below, true);
  let { body } = program;
  for (let times = 1 + below(3); times > 0; times--) body = change(body, below, () => maker.node(1, false));
  return { ...program, body };
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
  let hosted = hostProgram(program, [], startAt);
  for (let lives = 1; ; lives++) {
    const isLast = lives > 3;
    if (!isLast) dieLater(hosted, 1 + below(8));
    await finish(hosted, lives > 1);
    check(hosted);
    const { archive, host, couriers } = hosted;
    if (!host.dead) break;
    const commits = archive.writes.at(-1)?.commits ?? [];
    const code = lives < 3 ? other : program;
    hosted = hostProgram(code, commits, host.clock.at + below(3) * 1000, true, archive.writes, couriers.known);
  }
  checkLives(hosted.archive.lives);
  expect(hosted.host.status).toMatch(/^(completed|failed|cancelled)$/);
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
