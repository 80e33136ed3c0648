/** A mail as the catcher keeps it. */
export interface Mail {
  subject: string;
  html: string;
  to: { address: string }[];
}

/** What the mail catcher has for one address. */
export async function mailsTo(mails: string, address: string): Promise<Mail[]> {
  const response = await fetch(`${mails}/email`, { signal: AbortSignal.timeout(5_000) });
  const all = (await response.json()) as Mail[];
  return all.filter((mail) => mail.to.some((one) => one.address === address));
}
