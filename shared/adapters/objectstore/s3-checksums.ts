/** As S3 writes a checksum. */
export function base64Of(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64');
}

export const beforeSigning = { step: 'build', name: 'knownPayloadHash' } as const;

/** For a command's middleware: the hash of its body, which the signature covers. The SDK would compute it once more. */
export function knownPayloadHash(sha256: string) {
  return <Args extends { request: unknown }, Answer>(next: (args: Args) => Promise<Answer>) =>
    (args: Args): Promise<Answer> => {
      const { headers } = args.request as { headers: Record<string, string> };
      headers['x-amz-content-sha256'] = sha256;
      return next(args);
    };
}
