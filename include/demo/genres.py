"""The genres of the made-up catalogue, and the words that names of artists and titles are made of."""

from __future__ import annotations

from typing import NamedTuple


class Genre(NamedTuple):
    """`tags` are the genres that Spotify lists; minutes are the median track length, energy is 0 to 1."""

    name: str
    tags: tuple[str, ...]
    adjectives: tuple[str, ...]
    nouns: tuple[str, ...]
    minutes: float
    energy: float


FIRST_NAMES = (
    "Mira",
    "Jonas",
    "Ines",
    "Tobias",
    "Oluwa",
    "Saoirse",
    "Kenji",
    "Lena",
    "Rafael",
    "Yara",
    "Anselm",
    "Noor",
    "Viola",
    "Marek",
    "Talia",
    "Henrik",
    "Zuri",
    "Caspian",
    "Elif",
    "Bram",
    "Odile",
    "Soren",
    "Amaya",
    "Piet",
    "Leocadia",
    "Ravi",
    "Ottilie",
    "Dario",
    "Freya",
    "Ismael",
    "Nell",
    "Kofi",
    "Signe",
    "Mateus",
    "Hana",
    "Lucien",
)
LAST_NAMES = (
    "Vandermeer", "Okonjo", "Lindqvist", "Abara", "Castellane", "Hartwell", "Moriyama", "Fenwick", "Delacroix",
    "Ashdown", "Kowalczyk", "Marchetti", "Nightingale", "Osei", "Petrov", "Quillon", "Rasmussen", "Sato", "Thorne",
    "Ulrich", "Valente", "Winterbourne", "Yilmaz", "Zeller", "Brightwater", "Corvin", "Dunmore", "Eklund",
)  # fmt: skip
BAND_FORMS = (
    "The {adjective} {nouns}", "{adjective} {noun}", "{noun} & {other}", "{other} {nouns}", "{noun} Club",
    "{adjective} {noun} Society", "{first} and the {nouns}", "{adjective} {other}",
)  # fmt: skip
TITLE_FORMS = (
    "{adjective} {noun}", "{noun}", "{noun} in {season}", "Letters to {first}", "Where the {noun} Sleeps",
    "{adjective} {season}", "{noun} and {other}", "All My {nouns}", "Under the {noun}", "{first}'s {noun}",
    "No More {nouns}", "{adjective} for You", "{season} {noun}", "Before the {noun}", "{other} Song", "Half a {noun}",
    "Carry the {noun}", "A Slow {noun}", "{adjective} Hands", "Meet Me at the {noun}", "{nouns}", "Another {noun}",
    "The {noun} Knows", "Leaving {season}", "Dear {first}", "Too {adjective} to Sleep",
)  # fmt: skip
SEASONS = ("April", "Winter", "July", "November", "Summer", "Morning", "August", "September", "Midnight", "Spring")

GENRES = (
    Genre("ambient", ("ambient", "drone"), ("Quiet", "Pale", "Still", "Distant", "Weightless", "Slow", "Glass"),
          ("Harbour", "Tide", "Fog", "Lantern", "Field", "Signal", "Orbit", "Shore", "Meadow", "Cloud"), 5.2, 0.15),
    Genre("neoclassical", ("neoclassical", "solo piano"), ("Little", "Northern", "White", "Unfinished",
          "Gentle", "Late"),
          ("Nocturne", "Window", "Letter", "Waltz", "Snow", "Study", "Prelude", "Garden", "Clock", "Swallow"),
          3.6, 0.2),
    Genre("jazz", ("jazz", "modern jazz"), ("Blue", "Crooked", "Velvet", "Brass", "Smoky", "Sideways", "Golden"),
          ("Quartet", "Corner", "Ballad", "Avenue", "Ember", "Hat", "Balcony", "Cellar", "Sparrow", "Cigar"), 5.6, 0.4),
    Genre("folk", ("indie folk", "singer-songwriter"), ("Wooden", "Barefoot", "Humble", "Green", "Wandering", "Salt"),
          ("River", "Orchard", "Cabin", "Fiddle", "Wren", "Hollow", "Kettle", "Bramble", "Mountain", "Thread"),
          3.7, 0.35),
    Genre("dream pop", ("dream pop", "shoegaze"), ("Hazy", "Violet", "Sleeping", "Paper", "Drowsy", "Silver",
          "Blurred"),
          ("Aurora", "Mirror", "Satellite", "Petal", "Halo", "Swimmer", "Ghost", "Ribbon", "Moon", "Daydream"),
          4.3, 0.5),
    Genre("indie rock", ("indie rock", "post-punk"), ("Nervous", "Broken", "Electric", "Second", "Lucky", "Concrete"),
          ("Parade", "Suburb", "Radio", "Jacket", "Wolf", "Engine", "Tiger", "Arcade", "Stranger", "Matchbox"),
          3.6, 0.7),
    Genre("soul", ("neo soul", "r&b"), ("Sweet", "Honey", "Tender", "Sunday", "Warm", "Amber", "Easy"),
          ("Peach", "Promise", "Kitchen", "Sugar", "Lover", "Sister", "Feeling", "Cinnamon", "Porch", "Motion"),
          3.8, 0.55),
    Genre("hip hop", ("hip hop", "boom bap"), ("Young", "Heavy", "Royal", "Marble", "Cold", "Double", "Crown"),
          ("Verse", "Block", "Pocket", "Ledger", "Cipher", "Staircase", "Throne", "Pigeon", "Borough", "Tape"),
          3.2, 0.7),
    Genre("techno", ("techno", "minimal techno"), ("Binary", "Modular", "Iron", "Parallel", "Chrome", "Polar"),
          ("Circuit", "Vector", "Hangar", "Pulse", "Sector", "Filter", "Turbine", "Axis", "Module", "Loop"), 6.2, 0.85),
    Genre("house", ("house", "disco house"), ("Neon", "Tropical", "Satin", "Midnight", "Bright", "Coral", "Disco"),
          ("Terrace", "Groove", "Mirage", "Balloon", "Flamingo", "Boulevard", "Strobe", "Palm", "Carnival", "Glow"),
          5.1, 0.8),
    Genre("synth pop", ("synth pop", "electropop"), ("Plastic", "Future", "Crystal", "Magnetic", "Digital", "Pastel"),
          ("Heart", "Skyline", "Polaroid", "Dancer", "Laser", "Cassette", "Highway", "Comet", "Arcadia", "Pixel"),
          3.5, 0.75),
    Genre("metal", ("metal", "post-metal"), ("Black", "Ancient", "Burning", "Hollow", "Ashen", "Iron", "Final"),
          ("Monolith", "Raven", "Furnace", "Oath", "Glacier", "Serpent", "Throne", "Eclipse", "Abyss", "Anvil"),
          5.0, 0.95),
)  # fmt: skip

PODCASTS = (
    ("The Long Way Round", ("The Ferry That Never Left", "A Map of Small Towns", "Night Trains", "Salt Roads",
                            "The Last Lighthouse Keeper", "Bridges", "Letters from the Steppe")),
    ("Kitchen Chemistry", ("Why Bread Rises", "The Trouble with Eggs", "Salt", "Fire and Sugar", "A Perfect Pickle")),
    ("Second Draft", ("Cutting the First Chapter", "On Titles", "The Editor's Pencil", "Rejections",
          "Finding a Voice")),
    ("Night Sky Notes", ("The Quiet Comet", "Listening to Jupiter", "A Telescope in the Garden", "Dark Matter, Twice")),
    ("Money, Plainly", ("What Inflation Does", "Pensions for Beginners", "Rent or Buy", "The Price of Coffee")),
)  # fmt: skip
AUDIOBOOKS = (
    ("The Cartographer's Daughter", 14), ("A Winter on the Canal", 11), ("The Clockmaker of Lisse", 17),
)  # fmt: skip
