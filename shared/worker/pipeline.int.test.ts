import { describe, expect, it } from 'vitest';
import { startPipeline } from './pipeline.ts';

const shell = (text: string) => ({ program: 'sh', args: ['-c', text] });
const never = () => new AbortController().signal;

async function read(pipeline: ReturnType<typeof startPipeline>): Promise<string> {
  let text = '';
  for await (const chunk of pipeline.output ?? []) text += String(chunk);
  return text;
}

describe('a pipeline', () => {
  it('joins the first one to the second one, for far more than a pipe holds', async () => {
    const stages = [shell('head -c 5000000 /dev/zero'), { program: 'wc', args: ['-c'] }] as const;
    const pipeline = startPipeline(stages, { gives: 'output', signal: never() });
    expect((await read(pipeline)).trim()).toBe('5000000');
    await pipeline.ended;
  });

  it('gives the first one its input', async () => {
    const pipeline = startPipeline([shell('cat'), shell('grep -q needle')], { gives: 'input', signal: never() });
    pipeline.input?.end('a needle\n');
    await pipeline.ended;
  });

  it.each([
    [
      shell('echo out; echo "pg_dump: error: no such table" >&2; exit 3'),
      shell('cat'),
      /sh ended with exit code 3: .*no such table\./,
    ],
    [shell('yes'), shell('head -c 10 >/dev/null; exit 4'), /sh ended with exit code 4/],
    [shell('kill -9 $$'), shell('cat'), /ended with SIGKILL/],
    [{ program: '/nowhere/pg_dump', args: [] }, shell('cat'), /could not be started \(ENOENT\)/],
    [shell('yes'), { program: '/nowhere/zstd', args: [] }, /could not be started \(ENOENT\)/],
  ])('fails when a stage does, and says which and why (%#)', async (first, second, words) => {
    const pipeline = startPipeline([first, second], { gives: 'output', signal: never() });
    await read(pipeline);
    await expect(pipeline.ended).rejects.toThrow(words);
  });

  it('leaves out what follows the error: it may quote rows', async () => {
    const said = 'pg_restore: error: COPY failed\nCONTEXT: COPY res_partner, line 1: "secret"';
    const pipeline = startPipeline([shell(`printf '%s\\n' '${said}' >&2; exit 1`), shell('cat')], {
      gives: 'output',
      signal: never(),
    });
    await read(pipeline);
    const error: unknown = await pipeline.ended.catch((caught: unknown) => caught);
    expect(String(error)).toContain('COPY failed');
    expect(String(error)).not.toContain('secret');
  });

  it('ends both when it is told to, and throws the reason', async () => {
    const abort = new AbortController();
    const pipeline = startPipeline([shell('exec sleep 60'), shell('cat')], { gives: 'output', signal: abort.signal });
    setTimeout(() => abort.abort(new Error('asked to end')), 50);
    await read(pipeline);
    await expect(pipeline.ended).rejects.toThrow('asked to end');
  });

  it('passes nothing of this environment on but PATH', async () => {
    process.env['FLEET_TEST_SECRET'] = 'secret';
    try {
      const pipeline = startPipeline([shell('env'), shell('cat')], { gives: 'output', signal: never() });
      expect(await read(pipeline)).not.toContain('secret');
    } finally {
      delete process.env['FLEET_TEST_SECRET'];
    }
  });
});
