// Notes that other people's software signed, with the keys they published: figures carried over from their sources.

/** A note, the keys to open it with, and what has to be found. */
export interface PublishedNote {
  source: string;
  /** vkeys. */
  keys: string[];
  note: string;
  /** Name of each key that signed, and for a witness the POSIX time. */
  verified: { name: string; time?: number }[];
  unverified: string[];
}

export const PUBLISHED_NOTES: readonly PublishedNote[] = [
  {
    source: "https://c2sp.org/signed-note, example of a verifier key",
    keys: ["example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"],
    note: "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n",
    verified: [{ name: "example.com/foo" }],
    unverified: [],
  },
  {
    source: "https://pkg.go.dev/golang.org/x/mod/sumdb/note, example",
    keys: ["PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"],
    note: "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n",
    verified: [{ name: "PeterNeumann" }],
    unverified: [],
  },
  {
    source:
      "https://sum.golang.org/latest on 9 January 2023, with the signature of a test witness that is not trusted here",
    keys: ["sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"],
    note: "go.sum database tree\n15067302\ngJyioq6dwR9n+NjEWORfYmH+ubeYm3kH42BBQ0bTpYI=\n\n— sum.golang.org Az3grp1rvWOs5NKlr/xR4GLN/CDyzzakmt1o61uSxYKpK1SerqOP2ClbX/peKUZjYnyomH5Xz7GZG3TpB7OeKn4E2ww=\n— test.example.com qTGhC/xIPQ0AXKHK6Y+9ypRfuvMZWPjRXM8NiOg5M1WREn07VQXyuIXM3NRNav3ieVFLUqDRK77PWDmL6w8w84UqeAw=\n",
    verified: [{ name: "sum.golang.org" }],
    unverified: ["test.example.com"],
  },
  {
    source:
      "https://github.com/transparency-dev/distributor, README.md and config/witnesses-prod.yaml: Armored Witness devices. The keys are published there with type 1; their form with type 4, the one they cosign with, was computed",
    keys: [
      "transparency.dev-aw-ftlog-ci-3+3f689522+Aa1Eifq6rRC8qiK+bya07yV1fXyP156pEMsX7CFBC6gg",
      "ArmoredWitness-weathered-rain+0a78df20+BGLblKp5JuiyrgRh6ev2nNJ5XAd+sc/mM2D2HW/b4d5S",
      "ArmoredWitness-floral-sky+c7cf0b6d+BOkCmTmKTTnQMNqIigkj7PFnhogawSJD23PJ8M8qLYDm",
    ],
    note: "transparency.dev/armored-witness/firmware_transparency/ci/3\n59\nkOFMkeamIdrYFLx5zbWFhflak6dlEEDOU++fxYEZMBw=\n\n— transparency.dev-aw-ftlog-ci-3 P2iVIt3Jsaha3E2i0MHdKZ6fgYJTgXO86nUsxKPVq6uTwRSclTSh/ELnDGbNL+XDyD3EkWIdL2AGGNmbN7IN2rB/7gE=\n— ArmoredWitness-weathered-rain CnjfIAAAAABnGRrHjQi7IZQqVea4YnU/ADsv844r1ezGjvubUy1MMJm4as9bRiT70xNWQ67RCA76LMy7SdX4qJNIzL3eSS1BGFWqCw==\n— ArmoredWitness-floral-sky x88LbQAAAABnGRrDEq4Tfy7IIVPqkdXbcufUkCzRRbE3fABZ/jvtg5aFHVMuMR8cV6dVqECDBiH1zRxhNaCQOXSwNLSeJs+NzWt1BA==\n",
    verified: [
      { name: "transparency.dev-aw-ftlog-ci-3" },
      { name: "ArmoredWitness-weathered-rain", time: 1729698503 },
      { name: "ArmoredWitness-floral-sky", time: 1729698499 },
    ],
    unverified: [],
  },
];
