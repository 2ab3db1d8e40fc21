//! The words of the seeded catalogue. A title is `{trait} {kind} {thing}`, such as *Rustic Steel Kettle*: a trait that
//! suits anything, and a kind and a thing of its category.
//!
//! Each of these words can be searched for, and so can the names of the categories. A category has one product in
//! twelve, a trait one in sixteen, a thing about one in a hundred.

/// Words that suit anything.
pub const TRAITS: [&str; 16] = [
    "Classic", "Clever", "Cosy", "Elegant", "Everyday", "Grand", "Handy", "Modern", "Nimble",
    "Quiet", "Rustic", "Simple", "Sturdy", "Trusty", "Urban", "Vintage",
];

/// The words of a category.
#[derive(Debug, Clone, Copy)]
pub struct CategoryWords {
    /// The category's name.
    pub name: &'static str,
    /// Materials, makes and subjects.
    pub kinds: [&'static str; 6],
    /// The goods.
    pub things: [&'static str; 8],
}

/// The words of each category of the contract, in the same order.
pub const CATEGORIES: [CategoryWords; 12] = [
    CategoryWords {
        name: "audio",
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
    CategoryWords {
        name: "baby",
        kinds: [
            "Cotton", "Bamboo", "Organic", "Padded", "Folding", "Silicone",
        ],
        things: [
            "Blanket", "Stroller", "Bib", "Cradle", "Carrier", "Bottle", "Bathtub", "Rattle",
        ],
    },
    CategoryWords {
        name: "bikes",
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
    CategoryWords {
        name: "books",
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
    CategoryWords {
        name: "camping",
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
    CategoryWords {
        name: "cameras",
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
    CategoryWords {
        name: "games",
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
    CategoryWords {
        name: "garden",
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
    CategoryWords {
        name: "kitchen",
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
    CategoryWords {
        name: "phones",
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
    CategoryWords {
        name: "shoes",
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
    CategoryWords {
        name: "toys",
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
    fn every_category_of_the_contract_has_words() {
        assert_eq!(
            CATEGORIES.map(|c| c.name),
            shop_contract::product::CATEGORIES
        );
    }
}
