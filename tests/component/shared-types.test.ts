import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { emailAddress, freeText, newAddress, typedAddress } from '../../services/shared/schemas/types.ts';

describe('newAddress', () => {
  it.each([
    ['ada@example.com', 'ada@example.com'],
    ['  Ada@Example.COM ', 'ada@example.com'],
    ['a&b@example.com', 'a&b@example.com'],
    ["o'neil+shop@mail.example.com", "o'neil+shop@mail.example.com"],
    ['{!#$%*/=?^_`|~-}@example.com', '{!#$%*/=?^_`|~-}@example.com'],
    [`${'a'.repeat(64)}@example.com`, `${'a'.repeat(64)}@example.com`],
    ['user@xn--e1afmkfd.xn--p1ai', 'user@xn--e1afmkfd.xn--p1ai'],
    ['user@bücher.de', 'user@xn--bcher-kva.de'],
    ['user@BÜCHER.de', 'user@xn--bcher-kva.de'],
    ['user@пример.рф', 'user@xn--e1afmkfd.xn--p1ai'],
  ])('When it is %j, then the result is %j', (typed, address) => {
    expect(newAddress.parse(typed)).toBe(address);
    expect(typedAddress.parse(typed)).toBe(address);
    expect(emailAddress.parse(address)).toBe(address);
  });

  it.each([
    ['no address', 'ada'],
    ['two addresses', 'a@example.com;b@example.com'],
    ['two domains', 'a@b@example.com'],
    ['a header', 'ada@example.com\r\nBcc: eve@example.com'],
    ['a header behind a domain with other letters', 'ada@bücher.de\r\nBcc: eve@example.com'],
    ['a quoted local part', '"a;b"@example.com'],
    ['an address literal', 'ada@[192.0.2.1]'],
    ['an IP address in other digits', 'ada@１９２.０.２.１'],
    ['a local part with other letters', 'adä@example.com'],
    ['a local part with a letter that becomes one of ASCII', '\u212a@example.com'],
    ['two dots', 'a..b@example.com'],
    ['a dot at the beginning', '.a@example.com'],
    ['a local part that is too long', `${'a'.repeat(65)}@example.com`],
    ['a label that is too long', `ada@${'a'.repeat(64)}.com`],
    ['a domain that becomes too long', `ada@${'ü.'.repeat(60)}example.com`],
    ['a label with a hyphen at its end', 'ada@example-.com'],
    ['one label', 'ada@localhost'],
    ['a percent-encoded domain', 'ada@ü%2eexample.com'],
    ['an invisible character in its domain', 'ada@ex\u00adample.com'],
  ])('When it has %s, then it is rejected', (_case, typed) => {
    expect(newAddress.safeParse(typed).success).toBe(false);
  });

  it('When it has wrong characters, then the message lists the allowed ones', () => {
    const { error } = newAddress.safeParse('adä@example.com');
    expect(error?.issues[0]?.message).toMatch(/^must be an address such as .* ASCII letters, digits/);
  });

  it.each([newAddress, typedAddress, emailAddress])(
    'When it is documented, then its format is e-mail',
    (schema) => {
      expect(z.toJSONSchema(schema, { io: 'input' })).toMatchObject({ type: 'string', format: 'email' });
    },
  );
});

describe('freeText', () => {
  const parse = (text: string) => freeText(200).safeParse(text);

  it.each(['Ada', ' Ada Lovelace ', 'नमस्‍ते', '👩‍🚀 ❤️', '葛\u{e0100}城', "O'Neil-Straße 3", '!', 'می‌خواهم'])(
    'When it is %j, then the result has no surrounding blanks',
    (text) => {
      expect(parse(text).data).toBe(text.trim());
    },
  );

  it.each([
    ['nothing', ''],
    ['blanks', ' \u00a0\u3000'],
    ['a NUL', 'Ada\u0000'],
    ['a line break', 'Ada\nEve'],
    ['a line separator', 'Ada\u2028Eve'],
    ['half a character', 'Ada\ud800'],
    ['a space of no width alone', '\u200b'],
    ['a joiner alone', '\u200d'],
    ['a space of no width', 'A\u200bda'],
    ['a mark that turns the direction', '\u202eadA'],
    ['an isolate', '\u2066Ada\u2069'],
    ['a soft hyphen', 'A\u00adda'],
    ['a filler of Hangul', '\u3164'],
    ['the blank of Braille', '\u2800'],
    ['a tag', 'Ada\u{e0041}'],
  ])('When it has %s, then it is rejected', (_case, text) => {
    expect(parse(text).success).toBe(false);
  });

  it('When it is too long, then it is rejected', () => {
    expect([parse('x'.repeat(200)).success, parse('x'.repeat(201)).success]).toEqual([true, false]);
  });
});
