import { expect, it } from 'vitest';
import { tellingLines } from './log-lines.ts';

it('shows the last warnings and errors, and not what is only told', () => {
  const text = [
    'I1122 12:00:00.000000 7 server.go:1] "Kubelet version"',
    'W1122 12:00:01.000000 7 a.go:1] first',
    'E1122 12:00:02.000000 7 run.go:72] "command failed" err="address already in use"',
    'time="2026-11-22T12:00:03Z" level=info msg="serving..."',
    'time="2026-11-22T12:00:03Z" level=error msg="no snapshotter"',
    'I1122 12:00:04.000000 7 a.go:1] last',
    '',
  ].join('\n');
  expect(tellingLines(text, 2)).toEqual([
    'E1122 12:00:02.000000 7 run.go:72] "command failed" err="address already in use"',
    'time="2026-11-22T12:00:03Z" level=error msg="no snapshotter"',
  ]);
});

it('shows what is repeated once, with how often', () => {
  const lines = [
    'E1122 12:00:00.1 7 a.go:1] no CNI',
    'E1122 12:00:00.2 7 b.go:1] not found',
    'E1122 12:00:00.3 7 b.go:1] not found',
  ];
  expect(tellingLines(lines.join('\n'), 2)).toEqual([lines[0], `${lines[2]} (2 times)`]);
});

it('shows a panic from its start', () => {
  const trace = Array.from({ length: 50 }, (_, index) => `  /go/src/a.go:${index}`);
  const text = ['E1122 12:00:02.000000 7 a.go:1] before', 'panic: no memory', 'goroutine 1:', ...trace].join('\n');
  expect(tellingLines(text, 3)).toEqual(['panic: no memory', 'goroutine 1:', '/go/src/a.go:0']);
});

it('shows what there is when nothing is wrong', () => {
  expect(tellingLines('I1122 12:00:00.000000 7 a.go:1] one\nI1122 12:00:00.000000 7 a.go:1] two', 1)).toEqual([
    'I1122 12:00:00.000000 7 a.go:1] two',
  ]);
  expect(tellingLines('', 5)).toEqual([]);
});

it.each([
  ['E1 a.go] Authorization: Bearer abc.def-123', 'abc.def-123'],
  ['E1 a.go] "token":"hunter2hunter2"', 'hunter2'],
  ['E1 a.go] password=hunter2, user=x', 'hunter2'],
  ['E1 a.go] header eyJhbGciOi.eyJpc3MiOi.c2lnbmF0dXJl refused', 'eyJ'],
  ['E1 a.go] client-key-data: LS0tLS1CRUdJTg==', 'LS0t'],
  ['-----BEGIN EC PRIVATE KEY-----MHcCAQEE', 'MHcC'],
])('shows no secret: %s', (line, secret) => {
  expect(tellingLines(line, 1).join()).not.toContain(secret);
});

it('cuts a line that is too long to read', () => {
  expect(tellingLines(`E${'x'.repeat(10_000)}`, 1)[0]?.length).toBeLessThan(600);
});
