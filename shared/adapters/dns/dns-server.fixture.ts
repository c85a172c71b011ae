import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

/** A DNS server on loopback that knows TXT records only. */
export type DnsServer = {
  /** For `servers` of a resolver. */
  address: string;
  /** By name: texts, each of pieces; or how the server misbehaves. */
  records: Map<string, readonly (readonly string[])[] | 'refuse' | 'silence' | 'garbage'>;
  /** Names that were asked for. */
  asked: string[];
  close(): void;
};

const txt = 16;
const codes = { ok: 0, noName: 3, refused: 5 } as const;

/** RFC 1035, as much of it as one question of a resolver needs. */
export async function startDnsServer(): Promise<DnsServer> {
  const socket = createSocket('udp4');
  const records: DnsServer['records'] = new Map();
  const asked: string[] = [];
  socket.on('message', (query, from) => {
    const { name, end, type } = questionOf(query);
    asked.push(name);
    const known = records.get(name);
    if (known === 'silence') return;
    const send = (message: Buffer) => answer(socket, message, from.port);
    if (known === 'garbage') send(Buffer.from('not dns'));
    else if (known === 'refuse') send(message(query, end, { code: codes.refused, records: [] }));
    else if (known === undefined) send(message(query, end, { code: codes.noName, records: [] }));
    else send(message(query, end, { code: codes.ok, records: type === txt ? known : [] }));
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address() as AddressInfo;
  return { address: `127.0.0.1:${port}`, records, asked, close: () => socket.close() };
}

function answer(socket: Socket, message: Buffer, port: number): void {
  socket.send(message, port, '127.0.0.1');
}

function questionOf(query: Buffer): { name: string; end: number; type: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.subarray(at + 1, at + 1 + length).toString('latin1'));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}

function message(
  query: Buffer,
  end: number,
  { code, records }: { code: number; records: readonly (readonly string[])[] },
): Buffer {
  const header = Buffer.alloc(12);
  query.copy(header, 0, 0, 2);
  // an answer, recursion wanted and available
  header.writeUInt16BE(0x8180 | code, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  return Buffer.concat([header, query.subarray(12, end), ...records.map(record)]);
}

function record(pieces: readonly string[]): Buffer {
  const data = Buffer.concat(pieces.map((piece) => Buffer.concat([Buffer.from([piece.length]), Buffer.from(piece)])));
  const head = Buffer.alloc(12);
  // the name of the question, by its place
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(txt, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(0, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}
