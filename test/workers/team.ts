/** Keeps a team of Cloudflare Access, with real keys behind a real HTTP server, while the tests in workerd run. */
import type { TestProject } from "vitest/node";
import { Team } from "../http/team.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** `http://127.0.0.1:port` */
    readonly team: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const team = await new Team().open();
  project.provide("team", team.issuer);
  return () => team.close();
}
