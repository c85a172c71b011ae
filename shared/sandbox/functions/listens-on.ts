import { readdir, readFile, readlink } from 'node:fs/promises';

const listening = '0A';

/** Does this very process listen on the TCP port, on whatever address? Linux's /proc says so. One that is gone does not. */
export async function listensOn(pid: number, port: number): Promise<boolean> {
  try {
    const sockets = new Set([...(await listenersOf(pid, 'tcp', port)), ...(await listenersOf(pid, 'tcp6', port))]);
    const opened = await readdir(`/proc/${pid}/fd`);
    // One that is closed meanwhile is nobody's.
    const targets = await Promise.all(opened.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
    return targets.some((target) => sockets.has(target));
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

/** As the links in a process's `fd` folder name them. */
async function listenersOf(pid: number, protocol: 'tcp' | 'tcp6', port: number): Promise<string[]> {
  const text = await readFile(`/proc/${pid}/net/${protocol}`, 'utf8');
  return text.split('\n').flatMap((line) => {
    const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/);
    const isIt = state === listening && Number.parseInt(local.split(':')[1] ?? '', 16) === port;
    return isIt ? [`socket:[${inode}]`] : [];
  });
}
