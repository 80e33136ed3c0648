import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { CURRENCIES, formatMoney } from '../../services/shared/schemas/money.ts';
import { money, pricingCurrency } from '../../services/shared/schemas/types.ts';

/** ISO 4217, list one: the currencies whose minor unit does not have two digits. */
const OTHER_DIGITS: Record<string, number> = {
  ...digits(0, 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF'),
  ...digits(3, 'BHD IQD JOD KWD LYD OMR TND'),
  ...digits(4, 'CLF UYW'),
};

function digits(count: number, codes: string): Record<string, number> {
  return Object.fromEntries(codes.split(' ').map((code) => [code, count]));
}

describe('formatMoney', () => {
  it.each([
    [0, 'EUR', '€0.00'],
    [5, 'EUR', '€0.05'],
    [123_456, 'USD', '$1,234.56'],
    [129_000, 'HUF', 'HUF 1,290.00'],
    [1234, 'JPY', '¥1,234'],
    [1234, 'ISK', 'ISK 1,234'],
    [1234, 'KWD', 'KWD 1.234'],
    [1234, 'IQD', 'IQD 1.234'],
    [1234, 'MGA', 'MGA 12.34'],
    [1234, 'MRU', 'MRU 12.34'],
    [1234, 'CLF', 'CLF 0.1234'],
    [100, 'XXX', '¤1.00'],
  ])('When %i %s is formatted, then the result is %s', (amount, currency, text) => {
    expect(formatMoney(amount, currency).replaceAll('\u00a0', ' ')).toBe(text);
  });

  it.each(CURRENCIES)(
    'When %s is formatted, then it has the digits of ISO 4217, whatever Intl has',
    (currency) => {
      const count = OTHER_DIGITS[currency] ?? 2;
      const amount = '1234567';
      const whole = amount.slice(0, amount.length - count).replaceAll(/\B(?=(\d{3})+$)/g, ',');
      const text = count === 0 ? whole : `${whole}.${amount.slice(-count)}`;
      expect(formatMoney(Number(amount), currency).replace(/^[^\d]*/, '')).toBe(text);
    },
  );
});

describe('the currencies', () => {
  it('When they are listed, then each occurs once, including those without two digits', () => {
    expect(new Set(CURRENCIES).size).toBe(CURRENCIES.length);
    expect(CURRENCIES.filter((code) => !/^[A-Z]{3}$/.test(code))).toEqual([]);
    expect(Object.keys(OTHER_DIGITS).filter((code) => !CURRENCIES.includes(code))).toEqual([]);
  });

  it.each(['XXX', 'XTS', 'XAU', 'ABC', 'DEM', 'eur', 'EU', ''])(
    'When a price is in %j, then it is rejected',
    (code) => {
      expect(pricingCurrency.safeParse(code).error?.issues).toMatchObject([
        { message: 'must be an ISO 4217 currency such as EUR' },
      ]);
    },
  );
});

it('When an amount is documented, then its unit is, too, also if the amount has a bound', () => {
  const unit = { description: expect.stringContaining('ISO 4217') as unknown };
  expect(z.toJSONSchema(money)).toMatchObject(unit);
  expect(z.toJSONSchema(money.max(10))).toMatchObject({ ...unit, maximum: 10 });
});
