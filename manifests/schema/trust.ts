import { z } from 'zod'

const signerSchema = z.union([
  /** A public key in PEM form: EC on P-256, P-384 or P-521. */
  z.strictObject({ key: z.string().startsWith('-----BEGIN PUBLIC KEY-----') }),
  /** Who signed without a key of their own (Sigstore keyless), as the certificate names them. */
  z.strictObject({ identity: z.string().min(1), issuer: z.url() }),
])

export const VERIFY_MODES = ['warn', 'require', 'off'] as const

/** Which signers are trusted for which models. */
export const trustPolicySchema = z
  .strictObject({
    schemaVersion: z.literal(1),
    signers: z.record(z.string().min(1), signerSchema).default({}),
    /** The first rule whose pattern fits a name counts; `*` stands for anything. */
    rules: z
      .array(
        z.strictObject({
          names: z.string().min(1),
          signers: z.array(z.string()),
          verify: z.enum(VERIFY_MODES).optional(),
        }),
      )
      .default([]),
  })
  .check((context) => {
    for (const { names, signers } of context.value.rules)
      for (const signer of signers)
        if (!Object.hasOwn(context.value.signers, signer))
          context.issues.push({
            code: 'custom',
            message: `the rule for ${names} trusts ${signer}, who is not among the signers`,
            input: signer,
          })
  })

export type VerifyMode = (typeof VERIFY_MODES)[number]
export type TrustPolicy = z.infer<typeof trustPolicySchema>
export type Signer = TrustPolicy['signers'][string]
