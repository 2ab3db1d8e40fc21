//! The words of a seeded catalogue. A title is `{trait} {kind} {thing}`, such as *Rustic Steel Kettle*: a trait that
//! suits anything, and a kind and a thing of its category.
//!
//! Every one of these words can be searched for, and so can the names of the categories. A category has one product
//! in twelve, a trait one in sixteen, a thing about one in a hundred.

/// What anything can be said to be.
pub const TRAITS: [&str; 16] = [
    "Classic", "Clever", "Cosy", "Elegant", "Everyday", "Grand", "Handy", "Modern", "Nimble",
    "Quiet", "Rustic", "Simple", "Sturdy", "Trusty", "Urban", "Vintage",
];

/// What a category has.
#[derive(Debug, Clone, Copy)]
pub struct Shelf {
    /// The category's name.
    pub category: &'static str,
    /// Materials, makes and subjects.
    pub kinds: [&'static str; 6],
    /// What is sold.
    pub things: [&'static str; 8],
}

/// A shelf for each category of the contract, in its order.
pub const SHELVES: [Shelf; 12] = [
    Shelf {
        category: "audio",
        kinds: [
            "Bluetooth",
            "Studio",
            "Walnut",
            "Portable",
            "Stereo",
            "Wireless",
        ],
        things: [
            "Speaker",
            "Headphones",
            "Turntable",
            "Amplifier",
            "Soundbar",
            "Microphone",
            "Earbuds",
            "Radio",
        ],
    },
    Shelf {
        category: "baby",
        kinds: [
            "Cotton", "Bamboo", "Organic", "Padded", "Folding", "Silicone",
        ],
        things: [
            "Blanket", "Stroller", "Bib", "Cradle", "Carrier", "Bottle", "Bathtub", "Rattle",
        ],
    },
    Shelf {
        category: "bikes",
        kinds: [
            "Steel",
            "Carbon",
            "Aluminium",
            "Electric",
            "Gravel",
            "Touring",
        ],
        things: [
            "Bicycle",
            "Frame",
            "Saddle",
            "Handlebar",
            "Wheelset",
            "Pannier",
            "Helmet",
            "Pump",
        ],
    },
    Shelf {
        category: "books",
        kinds: [
            "Baking",
            "Travel",
            "History",
            "Crime",
            "Sailing",
            "Astronomy",
        ],
        things: [
            "Atlas",
            "Guide",
            "Handbook",
            "Novel",
            "Almanac",
            "Stories",
            "Companion",
            "Primer",
        ],
    },
    Shelf {
        category: "camping",
        kinds: [
            "Canvas",
            "Titanium",
            "Alpine",
            "Folding",
            "Thermal",
            "Waterproof",
        ],
        things: [
            "Tent", "Lantern", "Stove", "Hammock", "Backpack", "Mat", "Flask", "Chair",
        ],
    },
    Shelf {
        category: "cameras",
        kinds: [
            "Mirrorless",
            "Instant",
            "Digital",
            "Leather",
            "Carbon",
            "Telephoto",
        ],
        things: [
            "Camera",
            "Lens",
            "Tripod",
            "Flash",
            "Strap",
            "Viewfinder",
            "Filter",
            "Gimbal",
        ],
    },
    Shelf {
        category: "games",
        kinds: ["Strategy", "Puzzle", "Racing", "Card", "Fantasy", "Family"],
        things: [
            "Adventure",
            "Quest",
            "League",
            "Empire",
            "Tournament",
            "Expedition",
            "Duel",
            "Dungeon",
        ],
    },
    Shelf {
        category: "garden",
        kinds: ["Copper", "Cedar", "Ceramic", "Steel", "Solar", "Willow"],
        things: [
            "Planter",
            "Trellis",
            "Rake",
            "Lantern",
            "Bench",
            "Trowel",
            "Birdhouse",
            "Sprinkler",
        ],
    },
    Shelf {
        category: "kitchen",
        kinds: ["Steel", "Copper", "Oak", "Ceramic", "Marble", "Enamel"],
        things: [
            "Kettle",
            "Skillet",
            "Grinder",
            "Teapot",
            "Knife",
            "Casserole",
            "Toaster",
            "Whisk",
        ],
    },
    Shelf {
        category: "phones",
        kinds: ["Rugged", "Slim", "Dual", "Foldable", "Titanium", "Glass"],
        things: [
            "Smartphone",
            "Charger",
            "Case",
            "Headset",
            "Stand",
            "Battery",
            "Stylus",
            "Cable",
        ],
    },
    Shelf {
        category: "shoes",
        kinds: ["Leather", "Suede", "Canvas", "Running", "Trail", "Woollen"],
        things: [
            "Sneakers",
            "Boots",
            "Sandals",
            "Loafers",
            "Slippers",
            "Clogs",
            "Moccasins",
            "Trainers",
        ],
    },
    Shelf {
        category: "toys",
        kinds: ["Wooden", "Plush", "Magnetic", "Tin", "Musical", "Giant"],
        things: [
            "Train", "Bear", "Castle", "Robot", "Kite", "Blocks", "Puzzle", "Dinosaur",
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_has_its_shelf() {
        assert_eq!(
            SHELVES.map(|s| s.category),
            shop_contract::product::CATEGORIES
        );
    }
}
