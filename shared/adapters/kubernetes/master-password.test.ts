import { describe, expect, it } from 'vitest';
import { masterPasswordHash } from './master-password.ts';

describe('the master password’s hash', () => {
  it('is the same for every call and another one for every instance', () => {
    expect(masterPasswordHash('random', 'a')).toBe(masterPasswordHash('random', 'a'));
    expect(masterPasswordHash('random', 'a')).not.toBe(masterPasswordHash('random', 'b'));
    expect(masterPasswordHash('random', 'a')).toMatch(/^\$pbkdf2-sha512\$1000\$[A-Za-z0-9./]{22}\$[A-Za-z0-9./]{86}$/);
  });
});
