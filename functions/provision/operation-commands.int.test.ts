import { describe, expect, test } from 'vitest';
import { Failure } from '#shared/domain/failure.ts';
import { provisionsOfThisFile } from './operation.fixture.ts';

const { database, makeOperation, instance, told, statusesTold, audited } = provisionsOfThisFile();

describe('a cancel', () => {
  test('takes away all that was made, frees the room and the name', async () => {
    const { go, world, objects, ports, command } = await makeOperation();
    ports.http.loginPageAnswers = async () => ({ answers: false, reason: 'status 502' });
    expect(await go()).toBe('waiting');
    expect(objects.size).toBe(6);
    expect(await command('cancel')).toBe('done');
    expect(await go()).toBe('cancelled');
    expect(objects.size).toBe(0);
    expect(world.database).toBe('absent');
    expect(world.secret).toBeUndefined();
    expect(await instance()).toMatchObject({
      status: 'terminated',
      host: null,
      desired_state: 'terminated',
      db_server_id: null,
    });
    expect((await database().query('select instance_count from db_servers')).rows).toEqual([{ instance_count: 0 }]);
    expect(await statusesTold()).toEqual(['creating starting', 'starting terminated']);
    expect(await command('cancel')).toBe('ignored');
    expect(await command('retry')).toBe('ignored');
  });

  test('before anything began undoes nothing and does not start the instance first', async () => {
    const { go, world, command } = await makeOperation();
    expect(await command('cancel')).toBe('done');
    expect(await go()).toBe('cancelled');
    expect(world.did).toEqual([]);
    expect(await statusesTold()).toEqual(['creating terminated']);
    expect(await instance()).toMatchObject({ host: null });
  });

  test('of a failed one is carried out, and an undo that fails stays until it is done', async () => {
    const { go, world, ports, command } = await makeOperation();
    world.warm = 0;
    await go();
    world.jobs.set(world.started[0]?.name ?? '', { state: 'failed', reason: 'exit code 1' });
    expect(await go()).toBe('failed');
    expect(await command('cancel')).toBe('done');
    const { remove } = ports.databases;
    ports.databases.remove = async () => {
      throw new Failure('conflict', 'Somebody is connected.');
    };
    expect(await go()).toBe('waiting');
    expect(world.secret).toBeDefined();
    expect(await instance()).toMatchObject({ status: 'error', db_server_id: 'one' });
    ports.databases.remove = remove;
    expect(await go()).toBe('cancelled');
    expect(world.secret).toBeUndefined();
    expect(await statusesTold()).toEqual(['creating starting', 'starting error', 'error terminated']);
  });

  test('that comes while a step fails for good is carried out all the same', async () => {
    const { go, ports, command } = await makeOperation();
    ports.databases.personalise = async () => {
      expect(await command('cancel')).toBe('done');
      throw new Failure('foreign-object', 'Not ours.');
    };
    expect(await go()).toBe('failed');
    // its own turn comes next: nobody needs to find it
    expect((await told()).map(({ type }) => type)).toContain('operation.advance');
    expect(await go()).toBe('cancelled');
    expect(await instance()).toMatchObject({ status: 'terminated' });
  });
});

test('an instance that somebody has worked in is not undone', async () => {
  const { go, world, ports, command } = await makeOperation();
  ports.http.loginPageAnswers = async () => ({ answers: false, reason: 'status 502' });
  await go();
  world.wasUsed = true;
  expect(await command('cancel')).toBe('done');
  expect(await go()).toBe('failed');
  expect(world.database).toBe('initialised');
  expect(world.secret).toBeDefined();
  const { rows } = await database().query('select state, error_code, cancel_requested from operations');
  expect(rows).toEqual([{ state: 'failed', error_code: 'not-allowed', cancel_requested: false }]);
  // a retry finishes it
  ports.http.loginPageAnswers = async () => ({ answers: true, reason: '' });
  expect(await command('retry')).toBe('done');
  expect(await go()).toBe('succeeded');
});

describe('a command', () => {
  test('delivered again is a duplicate, and with other data a lie', async () => {
    const { command } = await makeOperation();
    expect(await command('cancel', { id: 'c-1' })).toBe('done');
    expect(await command('cancel', { id: 'c-1' })).toBe('duplicate');
    await expect(command('retry', { id: 'c-1' })).rejects.toMatchObject({ code: 'reused-event-id' });
  });

  test('for another instance or kind than the operation’s does nothing', async () => {
    const { command } = await makeOperation();
    expect(await command('cancel', { instanceId: 'bbbbbbbbbbbb' })).toBe('unknown');
    expect(await command('cancel', { kind: 'suspend' })).toBe('unknown');
    const { rows } = await database().query('select cancel_requested from operations');
    expect(rows).toEqual([{ cancel_requested: false }]);
  });

  test('that means nothing is noted as ignored', async () => {
    const { command, operationId } = await makeOperation();
    expect(await command('retry')).toBe('ignored');
    expect(await audited(operationId)).toEqual(['provision.retry.ignored']);
  });
});
