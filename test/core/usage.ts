/** What a test takes of the machine. */

/** CPU time of this thread so far, in milliseconds: what else the machine does takes none of it. */
export function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
